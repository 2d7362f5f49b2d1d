"""Signing in by a link: what the operations promise, whoever calls them."""

import datetime as dt
import re
import threading

import pytest
from django.core import mail
from django.db import DatabaseError, IntegrityError, connection, connections
from django.test.utils import CaptureQueriesContext
from psycopg import sql

from services.accounts import sign_in
from services.accounts.jobs import SEND_SIGN_IN_LINK
from services.accounts.models import SignInRequest, SignInToken
from services.accounts.queries import digest_of
from services.accounts.sign_in import NotAMember, SignedIn, SignInLinkInvalid
from services.history.jobs import ROLL_UP_DUE
from services.jobs.models import Job, JobStep
from services.jobs.operations import enqueue_for_anyone
from tenants.isolation import operator, shared, tenant
from tenants.models import AuditEvent, Membership, User
from tenants.permissions import Role
from tests.factories import AT, make_tenant, owner_id
from tests.sign_in import send_links
from workers.runner import advance

EMAIL = "owner@home.example"


@pytest.fixture
def home(database):
    return make_tenant(slug="home")


def tokens():
    with operator():
        return list(SignInToken.objects.order_by("created_at"))


def request(at=AT, next_path="/", email=EMAIL, network="192.0.2.1"):
    sign_in.request_sign_in(email=email, network=network, next_path=next_path, at=at)


def ask(at=AT, **options):
    """Ask for a link, let it be sent, and return its secret; None when there was no mail."""
    mail.outbox.clear()
    request(at=at, **options)
    send_links(at=at)
    return secret_in(mail.outbox[0]) if mail.outbox else None


def secret_in(message):
    return re.search(r"^http://testserver/sign-in/(\S+)$", message.body, re.MULTILINE)[1]


def use(secret, at=AT):
    return sign_in.use_sign_in_token(secret=secret, at=at)


def user_of(person):
    with operator():
        return User.objects.get(id=person.user_id)


def test_link_signs_in_once(home):
    secret = ask(next_path="/net-worth?range=1m", email="Owner@Home.example")

    person = use(secret, at=AT + dt.timedelta(minutes=9, seconds=59))

    assert mail.outbox[0].to == [EMAIL]
    assert person == SignedIn(
        owner_id(home), user_of(person).get_session_auth_hash(), (home.id,), "/net-worth?range=1m", is_operator=False
    )
    with pytest.raises(SignInLinkInvalid):
        use(secret)


def test_only_a_hash_is_kept(home, admin, caplog, capsys):
    caplog.set_level(0)
    secret = ask()

    [token] = tokens()
    assert bytes(token.digest) == digest_of(secret)
    assert len(secret) >= 43  # 256 bits
    tables = admin.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    rows = [
        row
        for table in tables
        for row in admin.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(*table)))
    ]
    assert len(rows) > 5
    assert [row for (row,) in rows if secret in row] == []
    assert secret not in caplog.text + "".join(capsys.readouterr())


def test_unknown_address_gets_nothing(home):
    assert ask(email="nobody@home.example") is None
    assert tokens() == []


@pytest.mark.parametrize("late", [dt.timedelta(minutes=10), dt.timedelta(days=1)])
def test_old_link_is_refused(home, late):
    secret = ask()

    with pytest.raises(SignInLinkInvalid):
        use(secret, at=AT + late)
    assert tokens()[0].used_at is None


@pytest.mark.parametrize(
    "tamper", [lambda secret: secret[:-1], lambda secret: secret + "A", str.swapcase, lambda _: ""]
)
def test_changed_link_is_refused(home, tamper):
    secret = ask()

    with pytest.raises(SignInLinkInvalid):
        use(tamper(secret))
    assert tokens()[0].used_at is None


def test_using_one_link_uses_up_the_others(home):
    first, second = ask(), ask(at=AT + dt.timedelta(seconds=1))

    use(second, at=AT + dt.timedelta(seconds=2))

    with pytest.raises(SignInLinkInvalid):
        use(first, at=AT + dt.timedelta(seconds=3))


def test_five_links_in_ten_minutes_are_enough(home):
    at = [AT + dt.timedelta(minutes=minute) for minute in range(12)]

    for email in (EMAIL, "nobody@home.example"):
        given = []
        for each in at:
            request(at=each, email=email.upper())
            given.append(send_links(at=each))
        assert given == [1] * 5 + [0] * 5 + [1, 1]


def test_thirty_links_are_enough_for_a_network(home):
    for number in range(32):
        request(email=f"{number}@home.example")
    request(network="192.0.2.2")

    assert send_links(at=AT) == 31


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
    at_once(8, request)

    assert send_links(at=AT) == 5


def test_of_many_who_use_a_link_at_once_one_gets_in(home):
    secret = ask()

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
    assert use(ask(next_path=path)).next_path == expected


@pytest.mark.parametrize("path", [path for path, kept in PATHS if path != kept and len(path) <= 500 and path != "/a\n"])
def test_database_refuses_a_path_elsewhere(home, path):
    with pytest.raises(IntegrityError, match="next_path_is_local"), operator():
        SignInToken.objects.create(user_id=_user_id(), digest=b"0" * 32, next_path=path, created_at=AT, expires_at=AT)
    with pytest.raises(IntegrityError, match="next_path_is_local"), operator():
        SignInRequest.objects.create(email=EMAIL, next_path=path, created_at=AT)


def test_signing_out_everywhere_ends_sessions(home):
    person = use(ask())
    session = {"user_id": person.user_id, "session_hash": person.session_hash}
    assert sign_in.person_of_session(**session).tenant_ids == (home.id,)

    sign_in.sign_out_everywhere(user_id=person.user_id)

    assert sign_in.person_of_session(**session) is None
    assert use(ask()).session_hash != person.session_hash


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

    person = use(ask())

    assert person.tenant_ids == (second.id, home.id)
    assert sign_in.tenant_names(person.tenant_ids) == [(second.id, "A-Second"), (home.id, "Home")]


def _user_id():
    return User.objects.get(email=EMAIL).id


# The mail as a job.


def statements(**options):
    with CaptureQueriesContext(connection) as captured:
        request(**options)
    return [re.sub(r"'[^']*'", "?", query["sql"]) for query in captured]


def test_request_does_the_same_for_a_known_and_an_unknown_address(home):
    known, unknown = statements(), statements(email="nobody@home.example")

    assert known == unknown
    assert len(known) == 4  # BEGIN, the request, its job, COMMIT
    assert not any("tenants_user" in each for each in known)


def test_unknown_address_leaves_a_job_that_succeeds(home):
    assert ask(email="nobody@home.example") is None

    with operator():
        assert list(Job.objects.values_list("kind", "state", "tenant")) == [(SEND_SIGN_IN_LINK.name, "succeeded", None)]


def test_mail_goes_to_the_address_that_is_kept(home):
    with operator():
        User.objects.filter(email=EMAIL).update(email="Owner@Home.Example")

    assert ask(email="oWNER@hOME.eXAMPLE")

    assert mail.outbox[0].to == ["Owner@Home.Example"]


@pytest.mark.parametrize(("minutes", "sent"), [(9.99, 1), (10, 0), (60, 0)])
def test_late_job_sends_nothing(home, minutes, sent):
    request()

    assert send_links(at=AT + dt.timedelta(minutes=minutes)) == 1

    assert len(mail.outbox) == len(tokens()) == sent


def test_request_that_is_gone_sends_nothing(home):
    request()
    with operator():
        SignInRequest.objects.all().delete()

    assert send_links(at=AT) == 1
    assert mail.outbox == []


def test_jobs_out_of_order_send_each_its_link(home):
    for second in (0, 1):
        request(at=AT + dt.timedelta(seconds=second), next_path=f"/{second}")
    with operator():
        newest_first = list(Job.objects.order_by("-created_at").values_list("id", flat=True))
    for job_id in newest_first:
        advance(job_id=job_id, tenant_id=None, now=lambda: AT + dt.timedelta(seconds=5))

    first, second = (secret_in(message) for message in mail.outbox)
    assert use(first, at=AT + dt.timedelta(seconds=6)).next_path == "/1"
    with pytest.raises(SignInLinkInvalid):
        use(second, at=AT + dt.timedelta(seconds=7))


def test_job_after_the_person_came_in_sends_nothing(home):
    request()
    use(ask(at=AT + dt.timedelta(seconds=1)), at=AT + dt.timedelta(seconds=2))
    mail.outbox.clear()

    request(at=AT + dt.timedelta(seconds=3))
    with operator():
        Job.objects.update(state="queued", finished_at=None)
        JobStep.objects.update(state="queued", run_after=AT)
    send_links(at=AT + dt.timedelta(seconds=4))

    assert len(mail.outbox) == 1  # of the three jobs, the one that was asked for afterwards


def test_without_an_address_of_the_site_nothing_is_sent(home, settings, caplog):
    settings.SITE_URL = ""
    request()

    send_links(at=AT)

    assert (mail.outbox, tokens()) == ([], [])
    with operator():
        assert Job.objects.get().state == "failed"
    assert "SITE_URL is not set" in caplog.text


FORBIDDEN = [
    ("SELECT 1 FROM accounts_signinrequest", "permission denied"),
    ("INSERT INTO accounts_signinrequest (id) VALUES (gen_random_uuid())", "permission denied"),
    ("INSERT INTO accounts_signintoken (id) VALUES (gen_random_uuid())", "permission denied"),
]


@pytest.mark.parametrize(("statement", "refusal"), FORBIDDEN)
def test_web_can_not_read_who_asked_nor_make_links(home, statement, refusal):
    with pytest.raises(DatabaseError, match=refusal), shared(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_stranger_can_queue_no_other_job(home):
    with pytest.raises(ValueError, match=r"history\.roll_up_due is not a job that anyone may ask for"), shared():
        enqueue_for_anyone(kind=ROLL_UP_DUE, subject_id=home.id, at=AT)

    with operator():
        assert not Job.objects.exists()
