"""What operators may change, and that each change is written down where it should be."""

import itertools
import uuid

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.test import Client

from services.accounts import operators
from services.jobs import operations as jobs
from services.jobs.models import Job, JobStep, State
from tenants.isolation import acting_as, operator, tenant
from tenants.models import AuditEvent, Membership, Tenant, User
from tenants.permissions import Role
from tests.factories import AT
from tests.services.jobs.kinds import DIAMOND, PLATFORM, SINGLE, claimed, fail, job_now, succeed, take_messages
from tests.web.conftest import sign_in

_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def empty_broker():
    take_messages()


@pytest.fixture
def audit(home, ada):
    """Return what reads (action, subject, id, details) of the household's events by the operator."""

    def read() -> list[tuple]:
        with tenant(home.id):
            events = AuditEvent.objects.filter(actor_id=ada.id).order_by("at", "id")
            return list(events.values_list("action", "subject", "subject_id", "details"))

    return read


@pytest.fixture
def log(ada):
    """Return what reads (flag, model, id) of what the operator did."""

    def read() -> list[tuple]:
        with operator():
            entries = LogEntry.objects.filter(user=ada).order_by("id")
            return list(entries.values_list("action_flag", "content_type__model", "object_id"))

    return read


def make_user(**fields) -> User:
    with operator():
        return User.objects.create(email=f"person-{next(_numbers)}@x.example", **fields)


def membership_of(email: str) -> Membership:
    with operator():
        return Membership.objects.select_related("user").get(user__email=email)


def messages(client: Client, path: str) -> str:
    return client.get(path).content.decode()


def test_household_is_changed(client, home, audit, log):
    form = {"name": "Home & Sons", "country": "NZ", "time_zone": "Pacific/Auckland"}

    assert client.post(f"/admin/tenants/tenant/{home.id}/change/", form).status_code == 302

    with tenant(home.id):
        now = Tenant.objects.get()
    assert (now.name, now.country, now.time_zone, now.slug) == ("Home & Sons", "NZ", "Pacific/Auckland", "home")
    assert audit() == [("change", "tenant", home.id, form)]
    assert log() == [(CHANGE, "tenant", str(home.id))]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"time_zone": "Mars/Base"}, "Mars/Base"),
        ({"country": "nz"}, "is violated"),
        ({"name": ""}, "This field is required."),
    ],
)
def test_nonsense_about_a_household_is_refused_beside_the_field(client, home, audit, log, wrong, words):
    form = {"name": "Home", "country": "AU", "time_zone": "Australia/Sydney", **wrong}

    answer = client.post(f"/admin/tenants/tenant/{home.id}/change/", form)

    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert (audit(), log()) == ([], [])


def test_slug_and_currency_of_a_household_stay(client, home):
    form = {"name": "Home", "country": "AU", "time_zone": "Australia/Sydney", "slug": "x", "home_currency": "USD"}

    client.post(f"/admin/tenants/tenant/{home.id}/change/", form)

    with tenant(home.id):
        assert (Tenant.objects.get().slug, Tenant.objects.get().home_currency) == ("home", "AUD")


def test_person_is_added_and_may_sign_in_once_in_a_household(client, home, audit, log):
    assert client.post("/admin/tenants/user/add/", {"email": "new@x.example", "name": "New"}).status_code == 302
    with operator():
        person = User.objects.get(email="new@x.example")
    assert (person.name, person.is_operator) == ("New", False)

    form = {"household": str(home.id), "user": str(person.id), "role": "viewer"}
    assert client.post("/admin/tenants/membership/add/", form).status_code == 302

    membership = membership_of("new@x.example")
    assert (membership.tenant_id, membership.role) == (home.id, "viewer")
    assert audit() == [("add", "member", person.id, {"role": "viewer"})]
    assert log() == [(ADDITION, "user", str(person.id)), (ADDITION, "membership", str(membership.id))]
    assert sign_in("new@x.example").get("/").status_code == 200


def test_address_is_taken_whatever_its_case(client, log):
    answer = client.post("/admin/tenants/user/add/", {"email": "OWNER@home.example", "name": ""})

    assert answer.status_code == 200
    assert "tenants_one_user_per_email" in answer.content.decode()
    assert log() == []


def test_same_person_is_not_added_twice(client, home, audit, log):
    owner = membership_of("owner@home.example").user

    answer = client.post(
        "/admin/tenants/membership/add/", {"household": str(home.id), "user": str(owner.id), "role": "viewer"}
    )

    assert answer.headers["Location"] == "/admin/tenants/membership/add/"
    assert "This person is in the household" in messages(client, "/admin/tenants/membership/add/")
    assert membership_of("owner@home.example").role == Role.OWNER
    assert (audit(), log()) == ([], [])


def test_role_is_changed(client, home, audit, log):
    second = make_user()
    with operator():
        membership = Membership.objects.create(tenant=home, user=second, role=Role.VIEWER)

    form = {"role": "owner", "user": str(uuid.uuid4()), "tenant": str(uuid.uuid4())}
    assert client.post(f"/admin/tenants/membership/{membership.id}/change/", form).status_code == 302

    now = membership_of(second.email)
    assert (now.role, now.user_id, now.tenant_id) == ("owner", second.id, home.id)
    assert audit() == [("change_role", "member", second.id, {"role": "owner", "before": "viewer"})]
    assert log() == [(CHANGE, "membership", str(membership.id))]


def test_household_keeps_an_owner(client, home, audit, log):
    membership = membership_of("owner@home.example")
    path = f"/admin/tenants/membership/{membership.id}/change/"

    assert client.post(path, {"role": "viewer"}).headers["Location"] == path

    assert "A household keeps an owner" in messages(client, path)
    assert membership_of("owner@home.example").role == Role.OWNER
    assert (audit(), log()) == ([], [])


def test_operator_is_made(client, log):
    person = make_user(name="Bea")
    form = {"email": person.email, "name": "Bea", "is_operator": "on"}

    assert client.post(f"/admin/tenants/user/{person.id}/change/", form).status_code == 302

    assert sign_in(person.email).get("/admin/").status_code == 200
    assert log() == [(CHANGE, "user", str(person.id))]


def test_operator_can_not_lock_themselves_out(client, ada, log):
    path = f"/admin/tenants/user/{ada.id}/change/"

    assert client.post(path, {"email": ada.email, "name": ""}).headers["Location"] == path

    assert "take the console from yourself" in messages(client, path)
    assert log() == []


def test_everywhere_is_signed_out(client, member, home, log):
    owner = membership_of("owner@home.example").user
    path = f"/admin/tenants/user/{owner.id}/sign_out_everywhere/"

    assert client.get(path).status_code == 200
    assert member.get("/").status_code == 200  # asking does nothing yet
    assert client.post(path).headers["Location"] == f"/admin/tenants/user/{owner.id}/change/"

    assert member.get("/").status_code == 302
    assert log() == [(CHANGE, "user", str(owner.id))]


def make_job(home: Tenant, kind=SINGLE) -> Job:
    with tenant(home.id):
        return jobs.enqueue(kind=kind, subject_id=uuid.uuid4(), at=AT)


def test_failed_job_is_queued_again(client, home, audit, log):
    job = make_job(home)
    fail(claimed(job))
    take_messages()
    path = f"/admin/jobs/job/{job.id}/retry/"

    assert "test.single" in messages(client, path)
    assert job_now(job).state == State.FAILED  # asking does nothing yet
    assert client.post(path).headers["Location"] == f"/admin/jobs/job/{job.id}/change/"

    assert job_now(job).state == State.QUEUED
    assert audit() == [("retry", "job", job.id, {"kind": "test.single"})]
    assert log() == [(CHANGE, "job", str(job.id))]
    assert take_messages() == [("default", "test.single", {"job_id": str(job.id), "tenant_id": str(home.id)})]


def test_open_job_is_cancelled(client, home, audit, log):
    job = make_job(home, DIAMOND)
    succeed(claimed(job))

    assert client.post(f"/admin/jobs/job/{job.id}/cancel/").status_code == 302

    assert job_now(job).state == State.CANCELLED
    assert audit() == [("cancel", "job", job.id, {"kind": "test.diamond"})]
    assert log() == [(CHANGE, "job", str(job.id))]


@pytest.mark.parametrize(
    ("end", "move", "words"),
    [(None, "retry", "Nothing was changed."), (succeed, "retry", "Nothing was changed."), (fail, "cancel", "ended")],
)
def test_state_forbids_it_in_words(client, home, audit, log, end, move, words):
    job = make_job(home)
    if end:
        end(claimed(job))
    before = job_now(job).state

    answer = client.post(f"/admin/jobs/job/{job.id}/{move}/")

    assert answer.status_code == 409
    assert words in answer.content.decode()
    assert job_now(job).state == before
    assert (audit(), log()) == ([], [])


def test_actions_are_offered_where_the_state_allows(client, home):
    job = make_job(home)
    path = f"/admin/jobs/job/{job.id}/change/"

    assert [word in messages(client, path) for word in ("/retry/", "/cancel/", "hx-get")] == [False, True, True]
    fail(claimed(job))
    page = messages(client, path)
    assert [f"{job.id}/{word}/" in page for word in ("retry", "cancel")] == [True, False]
    assert 'hx-trigger="every 2s"' not in page


def test_job_of_a_kind_that_is_gone_is_shown_and_not_retried(client, home, audit):
    job = make_job(home)
    fail(claimed(job))
    with operator():
        Job.objects.filter(id=job.id).update(kind="pets.feed")

    assert "pets.feed" in messages(client, f"/admin/jobs/job/{job.id}/change/")
    answer = client.post(f"/admin/jobs/job/{job.id}/retry/")

    assert answer.status_code == 409
    assert "knows no jobs of this kind" in answer.content.decode()
    assert audit() == []


def test_job_of_the_platform_is_retried_without_a_tenant_to_tell(client, log):
    with operator():
        job = jobs.enqueue(kind=PLATFORM, at=AT)
    fail(claimed(job))

    assert "The platform" in messages(client, "/admin/jobs/job/")
    assert client.post(f"/admin/jobs/job/{job.id}/retry/").status_code == 302

    assert job_now(job).state == State.QUEUED
    assert log() == [(CHANGE, "job", str(job.id))]
    with operator():
        assert not AuditEvent.objects.filter(subject="job").exists()


def test_steps_show_what_happened_to_them(client, home):
    job = make_job(home, DIAMOND)
    succeed(claimed(job), rows=12)
    fail(claimed(job), code="broken", detail="It <b>broke</b>.")
    with operator():
        JobStep.objects.filter(job=job, name="last").update(input={"page": 3})

    page = messages(client, f"/admin/jobs/job/{job.id}/change/")

    assert page.count('<path d="M') == 4  # first to left and right, each of them to last
    assert 'aria-label="First: Succeeded, Left: Failed, Right: Cancelled, Last: Blocked"' in page
    for words in ("{&quot;rows&quot;: 12}", "{&quot;page&quot;: 3}", "It &lt;b&gt;broke&lt;/b&gt;.", "<strong>broken"):
        assert words in page


def test_operations_refuse_what_forms_would_not_send(home, ada):
    owner = membership_of("owner@home.example").user
    with operator(), acting_as(ada.id):
        with pytest.raises(operators.AlreadyAMember):
            operators.add_member(tenant_id=home.id, user_id=owner.id, role=Role.VIEWER, at=AT)
        with pytest.raises(operators.EmailTaken):
            operators.create_user(email="OWNER@HOME.example", name="", at=AT)
        with pytest.raises(operators.EmailTaken):
            operators.change_user(user_id=owner.id, email=ada.email, name="", is_operator=False)
        with pytest.raises(operators.InvalidInput):
            operators.change_tenant(tenant_id=home.id, name="x", country="Oz", time_zone="UTC", at=AT)
        assert User.objects.count() == 2
        assert AuditEvent.objects.filter(actor_id=ada.id).count() == 0
