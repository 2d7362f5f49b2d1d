"""What the API takes and gives for links to banks. Of the provider's tokens only the one to sign in with is shown."""

import datetime as dt
from typing import Self
from uuid import UUID

from ninja import Schema
from pydantic import Field

from fatfire.kit.schemas import Body
from services.integration.models import Link, LinkState


class LinkIn(Body):
    """The portfolio to link a bank into, and where the bank's page sends the person afterwards."""

    portfolio_id: UUID
    return_to: str | None = Field(None, max_length=500, pattern="^https?://")


class LinkStarted(Schema):
    """How to sign in at the bank: with the widget and `link_token`, or on the page `hosted_url`."""

    id: UUID
    link_token: str
    hosted_url: str | None
    expires_at: dt.datetime


class LinkCompletion(Body):
    """What the widget gave; left out when the person used the hosted page."""

    public_token: str | None = Field(None, min_length=1, max_length=400)


class LinkOut(Schema):
    """A link to a bank."""

    id: UUID
    portfolio_id: UUID
    provider: str
    institution: str
    state: LinkState
    synced_at: dt.datetime | None
    created_at: dt.datetime

    @classmethod
    def of(cls, link: Link) -> Self:
        """Return what is shown of the link."""
        return cls.model_validate(link, from_attributes=True)


class LinkCompleted(Schema):
    """The link in use, and the job that imports from it."""

    link: LinkOut
    job_id: UUID


class JobStarted(Schema):
    """The job that does what was asked."""

    job_id: UUID
