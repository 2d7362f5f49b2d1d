"""API keys: what they may, when they end, and the command that makes them."""

import datetime as dt

import pytest
from django.core.management import CommandError, call_command

from fatfire.kit.errors import InvalidInput
from services.accounts import operations, queries
from services.accounts.models import ApiKey
from services.accounts.operations import SlugTaken
from tenants.isolation import operator, tenant
from tenants.models import AuditEvent, Membership, Tenant, User
from tenants.permissions import Role
from tests.api.document import call
from tests.factories import AT, make_key, make_tenant


@pytest.fixture
def owner(database):
    return make_tenant(slug="harper")


def member_of(owner, role):
    with operator():
        user = User.objects.create(email=f"{role}@members.example")
        return Membership.objects.create(tenant=owner, user=user, role=role)


def create(owner, member, role, **options):
    with tenant(owner.id):
        return operations.create_api_key(membership_id=member.id, name="x", role=role, at=AT, **options)


@pytest.mark.parametrize("members", Role)
@pytest.mark.parametrize("keys", Role)
def test_key_may_no_more_than_its_member(owner, members, keys):
    member = member_of(owner, members)

    if members.allows(keys):
        key = create(owner, member, keys)
        with tenant(owner.id):
            assert queries.principal_of_key(api_key_id=key.id, secret=key.secret, at=AT).role == keys
        return
    with pytest.raises(InvalidInput, match=f"The member is {members} and can't give a key the role {keys}"):
        create(owner, member, keys)
    with tenant(owner.id):
        assert not ApiKey.objects.exists()


def test_key_falls_with_its_member(owner):
    member = member_of(owner, Role.ADMIN)
    key = create(owner, member, Role.ADMIN)
    with tenant(owner.id):
        Membership.objects.filter(id=member.id).update(role=Role.VIEWER)
        assert queries.principal_of_key(api_key_id=key.id, secret=key.secret, at=AT).role == Role.VIEWER


def test_key_ends_on_the_moment(owner):
    expires_at = AT + dt.timedelta(days=1)
    key = create(owner, member_of(owner, Role.OWNER), Role.OWNER, expires_at=expires_at)

    with tenant(owner.id):
        last = queries.principal_of_key(
            api_key_id=key.id, secret=key.secret, at=expires_at - dt.timedelta(microseconds=1)
        )
        assert last.role == Role.OWNER
        assert queries.principal_of_key(api_key_id=key.id, secret=key.secret, at=expires_at) is None
        assert queries.principal_of_key(api_key_id=key.id, secret=f"{key.secret}x", at=AT) is None


def test_secret_is_not_kept(owner, admin):
    secret = make_key(owner)

    row = admin.execute("SELECT accounts_apikey::text FROM accounts_apikey").fetchone()[0]
    assert secret.startswith("ff_")
    assert secret not in row
    assert secret[:10] in row


def test_revoked_key_is_refused_from_then_on(owner):
    secret = make_key(owner)
    assert call("GET", "/api/v1/me", key=secret).status_code == 200
    with tenant(owner.id):
        key = ApiKey.objects.get()
        for _ in range(2):
            operations.revoke_api_key(api_key_id=key.id, at=AT)
        assert AuditEvent.objects.filter(action="revoke").count() == 1

    assert call("GET", "/api/v1/me", key=secret).status_code == 401


def test_key_made_after_it_was_tried_works(owner, monkeypatch):
    monkeypatch.setattr(operations.secrets, "token_urlsafe", lambda size: "x" * size)
    secret = "ff_" + "x" * 32
    assert call("GET", "/api/v1/me", key=secret).status_code == 401
    create(owner, member_of(owner, Role.OWNER), Role.OWNER)

    assert call("GET", "/api/v1/me", key=secret).status_code == 200


def test_use_is_noted(owner):
    secret = make_key(owner)
    before = dt.datetime.now(dt.UTC)
    call("GET", "/api/v1/nowhere", key=secret)
    with tenant(owner.id):
        assert ApiKey.objects.get().last_used_at is None

    call("POST", "/api/v1/portfolios", key=secret, body="{}")
    with tenant(owner.id):
        first = ApiKey.objects.get().last_used_at
    call("GET", "/api/v1/me", key=secret)

    with tenant(owner.id):
        assert before <= first < ApiKey.objects.get().last_used_at


def test_key_of_another_tenant_can_not_be_revoked(owner):
    make_key(owner)
    with tenant(owner.id):
        key = ApiKey.objects.get()

    with pytest.raises(ApiKey.DoesNotExist), tenant(make_tenant().id):
        operations.revoke_api_key(api_key_id=key.id, at=AT)


def run(capsys, *arguments):
    """Return what the command prints."""
    call_command("create_api_key", *arguments)
    printed = capsys.readouterr()
    assert printed.err == "Keep it safe: it is not shown again.\n"
    return printed.out.strip()


@pytest.mark.parametrize(
    ("arguments", "role"),
    [([], "admin"), (["--role", "viewer"], "viewer"), (["--role", "admin", "--days", "7"], "admin")],
)
def test_command_prints_a_key_that_works(owner, capsys, arguments, role):
    member_of(owner, Role.ADMIN)

    secret = run(capsys, "--tenant", "harper", "--email", "ADMIN@members.example", *arguments)

    assert call("GET", "/api/v1/me", key=secret).json()["role"] == role
    with tenant(owner.id):
        key = ApiKey.objects.get()
    assert (key.expires_at is not None) is ("--days" in arguments)
    assert key.expires_at is None or key.expires_at - key.created_at == dt.timedelta(days=7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tenant", "nobody", "--email", "admin@members.example"], "There is no tenant 'nobody'."),
        (["--tenant", "harper", "--email", "x@y.example"], "'x@y.example' is not a member of 'harper'."),
        (["--tenant", "harper", "--email", "admin@members.example", "--days", "0"], "--days is from 1 to 3650."),
        (
            ["--tenant", "harper", "--email", "admin@members.example", "--role", "owner"],
            "The member is admin and can't give a key the role owner.",
        ),
        (["--tenant", "harper", "--email", "admin@members.example", "--role", "king"], "argument --role: invalid"),
        (["--tenant", "harper"], "the following arguments are required: --email"),
    ],
)
def test_command_says_what_is_wrong(owner, arguments, message):
    member_of(owner, Role.ADMIN)

    with pytest.raises(CommandError) as raised:
        call_command("create_api_key", *arguments)

    assert message in str(raised.value)
    with tenant(owner.id):
        assert not ApiKey.objects.exists()


def test_tenant_joins_a_user_who_exists(owner):
    again = {"name": "x", "home_currency": "AUD", "time_zone": "UTC", "country": "AU", "at": AT}

    second = operations.create_tenant(slug="second", owner_email="OWNER@harper.example", **again)

    with operator():
        assert User.objects.count() == 1
        assert set(Membership.objects.values_list("tenant_id", "role")) == {(owner.id, "owner"), (second.id, "owner")}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"slug": "harper"}, SlugTaken, "Another tenant has this slug."),
        ({"home_currency": "XXX"}, InvalidInput, "'XXX' is not a currency code of ISO 4217."),
        ({"time_zone": "Mars"}, InvalidInput, "'Mars' is not a time zone of the IANA database."),
    ],
)
def test_tenant_that_can_not_be_leaves_nothing(owner, changes, error, message):
    facts = {"name": "x", "slug": "x", "home_currency": "AUD", "time_zone": "UTC", "country": "AU", "at": AT}

    with pytest.raises(error) as raised:
        operations.create_tenant(owner_email="new@x.example", **{**facts, **changes})

    assert raised.value.detail == message
    with operator():
        assert (Tenant.objects.count(), User.objects.count(), Membership.objects.count()) == (1, 1, 1)
