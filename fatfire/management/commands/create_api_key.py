"""`manage.py create_api_key`: let a program in."""

import datetime as dt
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from fatfire.kit import clock
from fatfire.kit.errors import DomainError
from services.accounts import operations as accounts
from tenants.isolation import operator, tenant
from tenants.models import Membership, Tenant
from tenants.permissions import Role


class Command(BaseCommand):
    """Make an API key for a member of a tenant and print its secret, which can't be shown again."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--tenant", required=True, metavar="SLUG", help="the tenant's slug")
        parser.add_argument("--email", required=True, metavar="MEMBER", help="the member's e-mail address")
        parser.add_argument(
            "--role", type=Role, choices=list(Role), help="at most the member's own, which is the default"
        )
        parser.add_argument("--days", type=int, metavar="N", help="until it expires (default: never)")
        parser.add_argument("--name", default="command line", help="what to recognise it by (default: command line)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make it; only the secret goes to the standard output."""
        at, days = clock.now(), options["days"]
        if days is not None and not 1 <= days <= 3650:
            msg = "--days is from 1 to 3650."
            raise CommandError(msg)
        owner, member = _member(slug=options["tenant"], email=options["email"])
        try:
            with tenant(owner.id):
                key = accounts.create_api_key(
                    membership_id=member.id,
                    name=options["name"],
                    role=options["role"] or Role(member.role),
                    at=at,
                    expires_at=at + dt.timedelta(days=days) if days else None,
                )
        except DomainError as error:
            raise CommandError(error.detail) from error
        self.stderr.write("Keep it safe: it is not shown again.")
        self.stdout.write(key.secret)


def _member(*, slug: str, email: str) -> tuple[Tenant, Membership]:
    with operator():
        owner = Tenant.objects.filter(slug=slug).first()
        if owner is None:
            msg = f"There is no tenant {slug!r}."
            raise CommandError(msg)
        member = Membership.objects.filter(tenant=owner, user__email__iexact=email).first()
        if member is None:
            msg = f"{email!r} is not a member of {slug!r}."
            raise CommandError(msg)
        return owner, member
