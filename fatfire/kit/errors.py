"""What can go wrong in the domain, in terms that an API client, a page and a job can each answer.

A service raises a named subclass beside the operation that raises it. Only `fatfire.api` turns one into HTTP,
and only `workers.runner` turns one into a retry or a failed job.
"""

from typing import ClassVar


class DomainError(Exception):
    """A rule of the domain refused the request; nothing was changed.

    `code` is stable and part of the API. `status` is the HTTP status that says it best. The class docstring's first
    line is the title; the message, written for the person who asked, is the detail.
    """

    status: ClassVar[int] = 409
    code: ClassVar[str] = "conflict"

    @property
    def detail(self) -> str:
        """The sentence for the person: the message given, else the class's own first line."""
        return str(self) or self.title()

    @classmethod
    def title(cls) -> str:
        """The kind of error in one line, the same for every occurrence."""
        return (cls.__doc__ or cls.__name__).strip().splitlines()[0]


class NotFound(DomainError):
    """There is no such thing here."""

    status, code = 404, "not_found"


class NotAuthenticated(DomainError):
    """This needs a valid API key."""

    status, code = 401, "not_authenticated"


class PermissionDenied(DomainError):
    """Your role does not allow this."""

    status, code = 403, "permission_denied"


class InvalidInput(DomainError):
    """A value was understood but can't be accepted."""

    status, code = 422, "invalid_input"

    def __init__(self, detail: str, *, field: str) -> None:
        """Refuse `field` (the name as the client wrote it) because of `detail`."""
        super().__init__(detail)
        self.field = field


class TransientError(DomainError):
    """Something outside failed and may work if tried again.

    The only errors that a job retries on its own.
    """

    status, code = 503, "temporarily_unavailable"
