"""Signing people in by a link, and out. Each function opens the scopes that it needs: nobody's tenant is known yet."""

import datetime as dt
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.sessions.models import Session
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.models.functions import Lower
from django.utils.crypto import constant_time_compare

from fatfire.kit.errors import DomainError
from fatfire.kit.locales import match_locale
from services.accounts.jobs import SEND_SIGN_IN_LINK
from services.accounts.models import LOCAL_PATH, SignedInBrowser, SignInRequest, SignInToken
from services.accounts.queries import Principal, digest_of
from services.jobs.operations import Progress, enqueue_for_anyone
from services.messaging.operations import send_mail
from tenants import audit
from tenants.isolation import acting_as, operator, shared, tenant
from tenants.models import Membership, Tenant, User
from tenants.permissions import Role

CONSOLE = "/admin/"
"""The path of the operators' console."""
VALID_FOR = dt.timedelta(minutes=10)
MOST_OF_ADDRESS = 5
"""So many links to one address may be asked for within VALID_FOR."""
MOST_OF_NETWORK = 30
"""So many links may be asked for from one network within VALID_FOR: an office shares an address."""

_LOCAL_PATH = re.compile(LOCAL_PATH)
_LONGEST_PATH = 500


class SignInLinkInvalid(DomainError):
    """This link was used before, or is older than ten minutes."""

    status, code = 410, "sign_in_link_invalid"


class NotAMember(DomainError):
    """You are no member of this household."""

    status, code = 403, "not_a_member"


@dataclass(frozen=True, slots=True)
class SignInMail:
    """What is to be sent to whom, and whether it leads into the console; the secret is not kept."""

    email: str
    secret: str
    into_console: bool


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who used a link, the households they are in (in order of their names), and where they wanted to go."""

    user_id: UUID
    session_hash: str
    tenant_ids: tuple[UUID, ...]
    next_path: str
    is_operator: bool


@dataclass(frozen=True, slots=True)
class Person:
    """A person who is signed in, with the ids of their households."""

    id: UUID
    email: str
    name: str
    tenant_ids: tuple[UUID, ...]
    is_operator: bool
    locale: str


def local_path(path: str) -> str:
    """Return `path` when it is one of this site, else "/": nothing here leads elsewhere."""
    return path if len(path) <= _LONGEST_PATH and _LOCAL_PATH.fullmatch(path) else "/"


def request_sign_in(*, email: str, network: str, next_path: str, at: dt.datetime) -> None:
    """Note that a link is wanted and queue the job that sends it; do nothing where too many were asked for lately.

    Whether the address is anybody's is not looked at here, so neither the answer nor its time can tell. `network` is
    where the request came from, as it is to be counted.
    """
    with shared():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT lookup.request_sign_in(%s, %s, %s, %s, %s, %s, %s)",
                [email, network, local_path(next_path), at, at - VALID_FOR, MOST_OF_ADDRESS, MOST_OF_NETWORK],
            )
            request_id: UUID | None = cursor.fetchone()[0]
        if request_id:
            enqueue_for_anyone(kind=SEND_SIGN_IN_LINK, subject_id=request_id, at=at)


def send_link(*, request_id: UUID, site_url: str, console_url: str, progress: Progress, at: dt.datetime) -> None:
    """Mail the link that was asked for, under a new secret each time: an earlier attempt's becomes invalid.

    A link leads to the host on which it is of use: `console_url` for an operator who asked for the console or is in no
    household, `site_url` for everybody else. Nothing is sent when the address is nobody's, when it was asked for longer
    ago than VALID_FOR, or when the person came in since. Killed between the mail and the end of the job, a second mail
    follows, and only its link works.

    Raises:
        MailNotTaken: it may be taken later.
        MailRefused: it never will be.
        ImproperlyConfigured: nobody said at which address people reach the site.
    """
    if not site_url:
        msg = "SITE_URL is not set: without it no link can be sent."
        raise ImproperlyConfigured(msg)
    mail = _prepare_mail(request_id=request_id, progress=progress, at=at)
    if mail:
        link = f"{console_url if mail.into_console else site_url}/sign-in/{mail.secret}"
        send_mail(to=mail.email, subject="Your sign-in link", template="accounts/sign_in_link", context={"link": link})


def _prepare_mail(*, request_id: UUID, progress: Progress, at: dt.datetime) -> SignInMail | None:
    """Write the link that is to be sent, and return it; None when there is none to send."""
    with operator():
        progress.report(0, 1)
        asked = SignInRequest.objects.filter(id=request_id, created_at__gt=at - VALID_FOR).first()
        if asked is None:
            return None
        # As the index has it; iexact would read the whole table.
        user = User.objects.alias(address=Lower("email")).filter(address=asked.email).first()
        if user is None or SignInToken.objects.filter(user=user, used_at__gt=asked.created_at).exists():
            return None
        secret = secrets.token_urlsafe(32)
        facts: dict[str, Any] = {"digest": digest_of(secret), "created_at": at, "expires_at": at + VALID_FOR}
        wants_console = f"{asked.next_path}/".startswith(CONSOLE)
        next_path = "/" if wants_console and not user.is_operator else asked.next_path  # the console is a 404 to others
        token, is_new = SignInToken.objects.get_or_create(
            request=asked, defaults={"user": user, "next_path": next_path, **facts}
        )
        if not is_new and not SignInToken.objects.filter(id=token.id, used_at__isnull=True).update(**facts):
            return None  # used in this very moment
        into_console = user.is_operator and (wants_console or not Membership.objects.filter(user=user).exists())
        return SignInMail(user.email, secret, into_console)  # where the person wants mail, and not what was typed


def create_sign_in_token(*, user_id: UUID, next_path: str = "/", at: dt.datetime) -> str:
    """Return the secret of a new link, whatever was asked for before: for whoever runs the platform. Across tenants.

    `next_path` is where the person goes when signed in, on this site.
    """
    secret = secrets.token_urlsafe(32)
    with operator():
        SignInToken.objects.create(
            user_id=user_id,
            digest=digest_of(secret),
            next_path=local_path(next_path),
            created_at=at,
            expires_at=at + VALID_FOR,
        )
    return secret


def use_sign_in_token(*, secret: str, at: dt.datetime) -> SignedIn:
    """Use the link up, and with it the person's others; return who it signs in.

    Raises:
        SignInLinkInvalid: there is none, or it was used, or it is too old.
    """
    tokens = SignInToken.objects.filter(used_at__isnull=True)
    with shared():
        # One statement decides: of two who use the link at once, one finds it used.
        if not tokens.filter(digest=digest_of(secret), expires_at__gt=at).update(used_at=at):
            raise SignInLinkInvalid
        token = SignInToken.objects.get(digest=digest_of(secret))
        tokens.filter(user_id=token.user_id).update(used_at=at)
        [user] = _people(token.user_id)
        tenant_ids = _tenant_ids(user.id)
    named = sorted((_name_of(each).casefold(), str(each), each) for each in tenant_ids)
    return SignedIn(
        user.id,
        user.get_session_auth_hash(),
        tuple(each for _, _, each in named),
        token.next_path,
        is_operator=user.is_operator,
    )


def enter_tenant(*, user_id: UUID, tenant_id: UUID, action: str, at: dt.datetime) -> None:
    """Note in the tenant's audit trail that the person came in, by `action` ("sign_in", "switch_tenant").

    Raises:
        NotAMember: the person isn't, or there is no such tenant.
    """
    with tenant(tenant_id), acting_as(user_id):
        if not Membership.objects.filter(user_id=user_id).exists():
            raise NotAMember
        audit.record(action=action, subject="user", subject_id=user_id, at=at)


def note_sign_in(*, user_id: UUID, tenant_id: UUID, languages: Sequence[str], at: dt.datetime) -> None:
    """Remember that the person signed in; the first time, take their locale from what their browser asks for.

    `languages` are the tags it prefers, the best first; where none fits, the tenant's country decides.
    """
    with tenant(tenant_id), connection.cursor() as cursor:
        locale = match_locale(languages, country=Tenant.objects.get().country)
        cursor.execute("SELECT lookup.note_sign_in(%s, %s, %s)", [user_id, at, locale])


def note_browser(*, user_id: UUID, session_id: str, browser: str, at: dt.datetime) -> None:
    """Remember whose the session is, and the browser that has it, in words; for the person's list."""
    with shared():
        SignedInBrowser.objects.create(user_id=user_id, session_id=session_id, browser=browser, began_at=at)


def list_browsers(*, user_id: UUID, at: dt.datetime) -> list[SignedInBrowser]:
    """Return the browsers that the person is signed in with, newest first, each with its session; in any scope."""
    found = SignedInBrowser.objects.filter(user_id=user_id, session__expire_date__gt=at)
    return list(found.select_related("session").defer("session__session_data").order_by("-began_at", "id"))


def sign_out_browser(*, user_id: UUID, browser_id: UUID, at: dt.datetime) -> None:
    """End the session of one of the person's browsers, in the open tenant's block.

    Raises:
        SignedInBrowser.DoesNotExist: it isn't signed in, or is another person's.
    """
    found = SignedInBrowser.objects.get(id=browser_id, user_id=user_id)
    Session.objects.filter(session_key=found.session_id).delete()
    audit.record(action="sign_out", subject="browser", subject_id=browser_id, at=at, name=found.browser)


def sign_out_everywhere(*, user_id: UUID) -> None:
    """End every session of the person: those in their list, and by the epoch whatever else there might be."""
    mine = SignedInBrowser.objects.filter(user_id=user_id)
    with shared(), connection.cursor() as cursor:
        cursor.execute("SELECT lookup.raise_session_epoch(%s)", [user_id])
        Session.objects.filter(session_key__in=mine.values("session_id")).delete()


def person_of_session(*, user_id: UUID, session_hash: str) -> Person | None:
    """Return whose session it is; None when they signed out everywhere since, or are gone."""
    with shared():
        for user in _people(user_id):
            if constant_time_compare(session_hash, user.get_session_auth_hash()):
                return Person(
                    user.id,
                    user.email,
                    user.name,
                    _tenant_ids(user.id),
                    is_operator=user.is_operator,
                    locale=user.locale,
                )
    return None


def principal_of_member(*, user_id: UUID) -> Principal | None:
    """Return the person as a member of the open tenant, with their role; None when they are none (any more)."""
    membership = Membership.objects.filter(user_id=user_id).first()
    if membership is None or membership.tenant_id is None:
        return None
    return Principal(tenant_id=membership.tenant_id, user_id=user_id, role=Role(membership.role))


def tenant_names(tenant_ids: tuple[UUID, ...]) -> list[tuple[UUID, str]]:
    """Return each tenant with its name, in order of the names; only for tenants whose member asks."""
    return sorted(((each, _name_of(each)) for each in tenant_ids), key=lambda found: found[1].casefold())


def _name_of(tenant_id: UUID) -> str:
    with tenant(tenant_id):
        return Tenant.objects.get().name


def _people(user_id: UUID) -> list[User]:
    """Return the person, or nobody."""
    return list(User.objects.raw("SELECT * FROM lookup.person(%s)", [user_id]))


def _tenant_ids(user_id: UUID) -> tuple[UUID, ...]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT lookup.tenants_of_user(%s)", [user_id])
        return tuple(row[0] for row in cursor.fetchall())
