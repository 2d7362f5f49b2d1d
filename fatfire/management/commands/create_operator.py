"""`manage.py create_operator`: let a person into the operators' console."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email

from fatfire.kit import clock
from services.accounts import operators
from services.accounts.sign_in import CONSOLE, create_sign_in_token
from tenants.isolation import operator


class Command(BaseCommand):
    """Make the person of an e-mail address an operator; a new person where there is none. Repeatable."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("email", help="where their sign-in links are sent")
        parser.add_argument(
            "--link", action="store_true", help="print a sign-in link too, for where mail isn't set up yet"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the operator; only a link goes to the standard output."""
        try:
            validate_email(options["email"])
        except ValidationError as error:
            msg = f"{options['email']!r} is no e-mail address."
            raise CommandError(msg) from error
        at = clock.now()
        with operator():
            user = operators.make_operator(email=options["email"], at=at)
        self.stderr.write(
            f"{user.email} is an operator: they sign in as everybody does, at {settings.CONSOLE_URL}{CONSOLE}"
        )
        if options["link"]:
            secret = create_sign_in_token(user_id=user.id, next_path=CONSOLE, at=at)
            self.stderr.write("This link signs them in, once, within ten minutes:")
            self.stdout.write(f"{settings.CONSOLE_URL}/sign-in/{secret}")
