"""Sending mail. Words and pictures are templates of the service that has something to say."""

import smtplib
from collections.abc import Mapping
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from fatfire.kit.errors import DomainError, TransientError
from fatfire.kit.http import refuse_in_transaction


class MailNotTaken(TransientError):
    """The mail server can't be reached, or doesn't take mail at the moment."""

    code = "mail_not_taken"


class MailRefused(DomainError):
    """The mail server refused this mail for good."""

    status, code = 502, "mail_refused"


def send_mail(*, to: str, subject: str, template: str, context: Mapping[str, Any]) -> None:
    """Hand a mail to the mail server: the text of `<template>.txt`, and `<template>.html` for those who show it.

    What the server says is in no error: it may repeat the address, and errors are kept with their jobs.

    Raises:
        MailNotTaken: it may be taken later.
        MailRefused: it never will be.
        NetworkInTransaction: a transaction is open in this thread.
    """
    refuse_in_transaction()
    mail = EmailMultiAlternatives(subject=subject, body=render_to_string(f"{template}.txt", context), to=[to])
    mail.attach_alternative(render_to_string(f"{template}.html", context), "text/html")
    try:
        mail.send()
    except smtplib.SMTPRecipientsRefused as error:
        raise _error_of(*(code for code, _ in error.recipients.values())) from None
    except smtplib.SMTPResponseException as error:
        raise _error_of(error.smtp_code) from None
    except OSError:  # no connection, or it broke; those of smtplib are OSErrors too
        raise MailNotTaken from None


def _error_of(*codes: int) -> DomainError:
    """Return what the server's answers mean: 5xx is for good (RFC 5321, 4.2.1)."""
    return MailRefused() if any(500 <= code < 600 for code in codes) else MailNotTaken()
