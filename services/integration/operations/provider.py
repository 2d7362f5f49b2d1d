"""The provider that stands between us and the banks, and what all that is done with a link has in common."""

from django.conf import settings

from fatfire.kit.errors import DomainError
from services.integration.models import Link, LinkState
from services.integration.providers.plaid import Plaid
from tenants.encryption import Cipher

PROVIDER = "plaid"


class BankNotConfigured(DomainError):
    """No bank provider is set up here."""

    status, code = 503, "bank_not_configured"


class LinkNotFinished(DomainError):
    """The bank has not been signed in to yet."""

    code = "link_not_finished"


class LinkRemoved(DomainError):
    """The link was removed."""

    code = "link_removed"


def open_bank() -> Plaid:
    """Return the provider's adapter.

    Raises:
        BankNotConfigured: PLAID_URL is not set.
    """
    if not settings.PLAID_URL:
        raise BankNotConfigured
    return Plaid(
        settings.PLAID_URL,
        settings.PLAID_CLIENT_ID,
        settings.PLAID_SECRET.get_secret_value(),
        country_codes=settings.PLAID_COUNTRY_CODES,
    )


def require_in_use(link: Link) -> None:
    """Make sure that the link was finished and not removed.

    Raises:
        LinkNotFinished, LinkRemoved: it is not in use.
    """
    if link.state == LinkState.PENDING:
        raise LinkNotFinished
    if link.state == LinkState.REMOVED:
        raise LinkRemoved


def sealed_token(cipher: Cipher, link: Link, token: str, *, column: str) -> bytes:
    """Return the token, encrypted for that column of the link."""
    return cipher.encrypt(token, model=Link, row_id=link.id, column=column)


def open_token(cipher: Cipher, link: Link, *, column: str) -> str:
    """Return the token in that column of the link, decrypted; the link's state says that it has one."""
    sealed: bytes | memoryview | None = getattr(link, column)
    if sealed is None:
        msg = "the link has no token"
        raise ValueError(msg)
    return cipher.decrypt(bytes(sealed), model=Link, row_id=link.id, column=column)
