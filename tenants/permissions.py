"""Who may do what in a tenant: four roles, each of which may do all that the next one may."""

from collections.abc import Callable
from typing import Any

from django.db.models import TextChoices


class Role(TextChoices):
    """A member's role, most powerful first."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"

    def allows(self, needed: "Role") -> bool:
        """Return whether this role may do what needs `needed`."""
        order = list(Role)
        return order.index(self) <= order.index(needed)


def requires[F: Callable[..., Any]](role: Role) -> Callable[[F], F]:
    """Mark a view as needing at least `role`. Unmarked, reading needs a viewer and everything else a member."""

    def mark(view: F) -> F:
        view.required_role = role  # type: ignore[attr-defined]  # read by fatfire.middleware
        return view

    return mark


def required_role(view: Callable[..., Any], method: str) -> Role:
    """Return the least role that may call `view` by the HTTP `method`."""
    marked: Role | None = getattr(view, "required_role", None)
    return marked or (Role.VIEWER if method in {"GET", "HEAD", "OPTIONS"} else Role.MEMBER)
