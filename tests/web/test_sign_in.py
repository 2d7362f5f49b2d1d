"""Signing in by a link: what the operations promise, whoever calls them."""

import datetime as dt
import threading

import pytest
from django.db import IntegrityError, connections

from services.accounts import sign_in
from services.accounts.models import SignInToken
from services.accounts.queries import digest_of
from services.accounts.sign_in import NotAMember, SignedIn, SignInLinkInvalid
from tenants.isolation import operator, shared, tenant
from tenants.models import AuditEvent, Membership, User
from tenants.permissions import Role
from tests.factories import AT, make_tenant, owner_id

EMAIL = "owner@home.example"


@pytest.fixture
def home(database):
    return make_tenant(slug="home")


def tokens():
    with shared():
        return list(SignInToken.objects.order_by("created_at"))


def ask(at=AT, next_path="/", email=EMAIL):
    return sign_in.request_sign_in(email=email, next_path=next_path, at=at)


def use(secret, at=AT):
    return sign_in.use_sign_in_token(secret=secret, at=at)


def user_of(person):
    with shared():
        return User.objects.get(id=person.user_id)


def test_link_signs_in_once(home):
    mail = ask(next_path="/net-worth?range=1m", email="Owner@Home.example")

    person = use(mail.secret, at=AT + dt.timedelta(minutes=9, seconds=59))

    assert mail.email == EMAIL
    assert person == SignedIn(
        owner_id(home), user_of(person).get_session_auth_hash(), (home.id,), "/net-worth?range=1m", is_operator=False
    )
    with pytest.raises(SignInLinkInvalid):
        use(mail.secret)


def test_only_a_hash_is_kept(home):
    mail = ask()

    [token] = tokens()
    assert bytes(token.digest) == digest_of(mail.secret)
    assert mail.secret not in str(vars(token))
    assert len(mail.secret) >= 43  # 256 bits


def test_unknown_address_gets_nothing(home):
    assert ask(email="nobody@home.example") is None
    assert tokens() == []


@pytest.mark.parametrize("late", [dt.timedelta(minutes=10), dt.timedelta(days=1)])
def test_old_link_is_refused(home, late):
    mail = ask()

    with pytest.raises(SignInLinkInvalid):
        use(mail.secret, at=AT + late)
    assert tokens()[0].used_at is None


@pytest.mark.parametrize(
    "tamper", [lambda secret: secret[:-1], lambda secret: secret + "A", str.swapcase, lambda _: ""]
)
def test_changed_link_is_refused(home, tamper):
    mail = ask()

    with pytest.raises(SignInLinkInvalid):
        use(tamper(mail.secret))
    assert tokens()[0].used_at is None


def test_using_one_link_uses_up_the_others(home):
    first, second = ask(), ask(at=AT + dt.timedelta(seconds=1))

    use(second.secret, at=AT + dt.timedelta(seconds=2))

    with pytest.raises(SignInLinkInvalid):
        use(first.secret, at=AT + dt.timedelta(seconds=3))


def test_five_links_in_ten_minutes_are_enough(home):
    at = [AT + dt.timedelta(minutes=minute) for minute in range(12)]

    given = [ask(at=each) is not None for each in at]

    assert given == [True] * 5 + [False] * 5 + [True, True]


def at_once(count, attempt):
    """Run the attempt in threads that start together; return what each gave."""
    together, given = threading.Barrier(count), []

    def run():
        together.wait(10)
        try:
            given.append(attempt())
        except SignInLinkInvalid:
            given.append(None)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return given


def test_requests_at_once_are_counted_too(home):
    assert sum(mail is not None for mail in at_once(8, ask)) == 5


def test_of_many_who_use_a_link_at_once_one_gets_in(home):
    secret = ask().secret

    assert sum(person is not None for person in at_once(8, lambda: use(secret))) == 1


PATHS = [
    ("/", "/"),
    ("/net-worth?range=1m&x=%20", "/net-worth?range=1m&x=%20"),
    ("//evil.example", "/"),
    ("/\\evil.example", "/"),
    ("/\t/evil.example", "/"),
    ("/a\n", "/"),
    ("https://evil.example/", "/"),
    ("javascript:alert(1)", "/"),
    ("", "/"),
    ("net-worth", "/"),
    ("/" + "a" * 500, "/"),
]


@pytest.mark.parametrize(("path", "expected"), PATHS)
def test_link_leads_nowhere_else(home, path, expected):
    assert use(ask(next_path=path).secret).next_path == expected


@pytest.mark.parametrize("path", [path for path, kept in PATHS if path != kept and len(path) <= 500 and path != "/a\n"])
def test_database_refuses_a_path_elsewhere(home, path):
    with pytest.raises(IntegrityError, match="next_path_is_local"), shared():
        SignInToken.objects.create(
            user_id=User.objects.get().id, digest=b"0" * 32, next_path=path, created_at=AT, expires_at=AT
        )


def test_signing_out_everywhere_ends_sessions(home):
    person = use(ask().secret)
    session = {"user_id": person.user_id, "session_hash": person.session_hash}
    assert sign_in.person_of_session(**session).tenant_ids == (home.id,)

    sign_in.sign_out_everywhere(user_id=person.user_id)

    assert sign_in.person_of_session(**session) is None
    assert use(ask().secret).session_hash != person.session_hash


def test_entering_leaves_a_trace_and_needs_a_membership(home):
    other, user_id = make_tenant(), owner_id(home)

    sign_in.enter_tenant(user_id=user_id, tenant_id=home.id, action="sign_in", at=AT)
    with pytest.raises(NotAMember):
        sign_in.enter_tenant(user_id=user_id, tenant_id=other.id, action="sign_in", at=AT)

    with tenant(home.id):
        event = AuditEvent.objects.get(action="sign_in")
    assert (event.actor_id, event.subject, event.subject_id, event.at) == (user_id, "user", user_id, AT)
    with tenant(other.id):
        assert not AuditEvent.objects.filter(action="sign_in").exists()


def test_households_come_by_name(home):
    second = make_tenant(slug="a-second")
    with operator():
        Membership.objects.create(tenant=second, user_id=_user_id(), role=Role.VIEWER)

    person = use(ask().secret)

    assert person.tenant_ids == (second.id, home.id)
    assert sign_in.tenant_names(person.tenant_ids) == [(second.id, "A-Second"), (home.id, "Home")]


def _user_id():
    return User.objects.get(email=EMAIL).id
