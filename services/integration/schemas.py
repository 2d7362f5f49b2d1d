"""What the API takes and gives for links to banks. Of the provider's tokens only the one to sign in with is shown."""

import datetime as dt
from typing import Self
from uuid import UUID

from ninja import Schema
from pydantic import Field

from fatfire.kit.schemas import Body, CurrencyCode
from services.integration.models import LeftOut, Link, LinkedAccount, LinkState
from services.integration.operations import LONGEST_QUERY, StartedLink


class LinkIn(Body):
    """The portfolio to link a bank into, which bank its page shows first, and where it sends the person afterwards."""

    portfolio_id: UUID
    institution_id: str | None = Field(None, min_length=1, max_length=60)
    return_to: str | None = Field(None, max_length=500, pattern="^https?://")


class LinkStarted(Schema):
    """How to sign in at the bank: with the widget and `link_token`, or on the page `hosted_url`."""

    id: UUID
    link_token: str
    hosted_url: str | None
    expires_at: dt.datetime

    @classmethod
    def of(cls, started: StartedLink) -> Self:
        """Return what is shown of the link that waits."""
        token = started.token
        return cls(id=started.link_id, link_token=token.token, hosted_url=token.hosted_url, expires_at=token.expires_at)


class LinkRenewal(Body):
    """Where the bank's page sends the person afterwards."""

    return_to: str | None = Field(None, max_length=500, pattern="^https?://")


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


class InstitutionQuery(Schema):
    """A part of the bank's name; empty: the banks that come first."""

    query: str = Field("", max_length=LONGEST_QUERY)


class InstitutionOut(Schema):
    """A bank that can be linked."""

    institution_id: str
    name: str


class InstitutionsFound(Schema):
    """The banks whose names match, at most ten."""

    institutions: list[InstitutionOut]


class AccountChange(Body):
    """The currency that the account is reckoned in from now on."""

    currency: CurrencyCode


class AccountOut(Schema):
    """An account at a bank: the asset that mirrors it, or why it is left out.

    `currency` is what the bank told, empty when it never told one that is known; the asset's own may be a person's
    choice.
    """

    id: UUID
    link_id: UUID
    asset_id: UUID | None
    name: str
    mask: str
    currency: str
    left_out: LeftOut | None

    @classmethod
    def of(cls, account: LinkedAccount) -> Self:
        """Return what is shown of the account."""
        return cls.model_validate(account, from_attributes=True)


class LinkCompleted(Schema):
    """The link in use, and the job that imports from it."""

    link: LinkOut
    job_id: UUID


class JobStarted(Schema):
    """The job that does what was asked."""

    job_id: UUID
