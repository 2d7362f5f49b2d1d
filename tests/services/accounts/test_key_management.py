"""Keys over HTTP: an admin lists, makes and revokes those of the tenant, and no one gets more than they have."""

import datetime as dt
import json
import uuid

import pytest

from fatfire.kit import clock
from services.accounts import operations, queries
from services.accounts.models import ApiKey
from tenants.isolation import tenant
from tenants.models import AuditEvent, Membership
from tenants.permissions import Role
from tests.api.document import call, fields_of, problem_of
from tests.factories import AT, make_key, make_tenant, owner_id

KEYS = "/api/v1/api-keys"
NEW = {"name": "Spreadsheet", "role": "viewer", "days": 30}


@pytest.fixture
def owner(database):
    return make_tenant(slug="harper")


def post(key, body):
    return call("POST", KEYS, key=key, body=json.dumps(body))


def listed(key, **query):
    """Return a page of the keys."""
    response = call("GET", KEYS, key=key, query=query)
    assert response.status_code == 200, response.content
    return json.loads(response.content)


def works(key):
    return call("GET", "/api/v1/me", key=key).status_code == 200


def id_of(owner, secret):
    with tenant(owner.id):
        return ApiKey.objects.get(digest=queries.digest_of(secret)).id


def made_by(owner, *, keys, members):
    """Return the secret of a key with the role `keys`, whose member was then given the role `members`."""
    secret = make_key(owner, keys)
    with tenant(owner.id):
        membership = ApiKey.objects.get(digest=queries.digest_of(secret)).membership_id
        Membership.objects.filter(id=membership).update(role=members)
    return secret


def written(owner):
    """Return the tenant's keys and events; not when a key was last used, which each request notes."""
    with tenant(owner.id):
        keys = ApiKey.objects.order_by("id").values_list("id", "role", "expires_at", "revoked_at")
        return list(keys), list(AuditEvent.objects.order_by("id").values_list("id", flat=True))


def test_key_is_made_for_who_asks(owner):
    admin = make_key(owner, Role.ADMIN)
    before = clock.now()

    response = post(admin, NEW | {"name": "  Spreadsheet "})

    assert response.status_code == 201
    answer = response.json()
    secret, created_at = answer["secret"], dt.datetime.fromisoformat(answer["created_at"])
    me = call("GET", "/api/v1/me", key=admin).json()
    assert before <= created_at <= clock.now()
    assert answer == {
        "id": str(id_of(owner, secret)),
        "name": "Spreadsheet",
        "role": "viewer",
        "prefix": secret[:10],
        "member": me["email"],
        "created_at": answer["created_at"],
        "expires_at": (created_at + dt.timedelta(days=30)).isoformat(),
        "last_used_at": None,
        "revoked_at": None,
        "secret": secret,
    }
    assert call("GET", "/api/v1/me", key=secret).json() == me | {"role": "viewer"}
    with tenant(owner.id):
        made = AuditEvent.objects.get(subject_id=answer["id"])
    assert (str(made.actor_id), made.action, made.subject, made.details, made.at) == (
        me["user_id"],
        "create",
        "api_key",
        {"name": "Spreadsheet", "role": "viewer"},
        created_at,
    )


@pytest.mark.parametrize(
    ("expiry", "lasts"),
    [
        ({}, None),
        ({"days": None}, None),
        ({"days": 1}, dt.timedelta(days=1)),
        ({"days": 3650}, dt.timedelta(days=3650)),
    ],
)
def test_key_lasts_as_long_as_was_asked(owner, expiry, lasts):
    answer = post(make_key(owner), {"name": "x", "role": "viewer", **expiry}).json()

    with tenant(owner.id):
        key = ApiKey.objects.get(id=answer["id"])
    assert (key.expires_at and key.expires_at - key.created_at) == lasts


MAKERS = [
    # the key's role, its member's, the role wanted, the role that is short of it (None: it is made)
    ("owner", "owner", "owner", None),
    ("owner", "owner", "viewer", None),
    ("admin", "owner", "admin", None),
    ("admin", "owner", "owner", "admin"),
    ("admin", "admin", "admin", None),
    ("admin", "admin", "member", None),
    ("admin", "admin", "owner", "admin"),
    ("owner", "admin", "admin", None),
    ("owner", "admin", "owner", "admin"),
]


@pytest.mark.parametrize(("keys", "members", "wanted", "short"), MAKERS)
def test_key_may_no_more_than_the_one_it_was_made_with(owner, keys, members, wanted, short):
    maker = made_by(owner, keys=Role(keys), members=Role(members))
    before = written(owner)

    response = post(maker, {"name": "x", "role": wanted})

    if short is None:
        assert response.status_code == 201
        assert call("GET", "/api/v1/me", key=response.json()["secret"]).json()["role"] == wanted
        return
    assert problem_of(response) == (422, "invalid_input")
    assert response.json()["detail"] == f"Your role is {short} and can't give a key the role {wanted}."
    assert fields_of(response) == {"role"}
    assert written(owner) == before


@pytest.mark.parametrize("members", [Role.MEMBER, Role.VIEWER])
def test_admin_who_fell_makes_no_keys(owner, members):
    maker = made_by(owner, keys=Role.ADMIN, members=members)
    before = written(owner)

    assert problem_of(post(maker, NEW)) == (403, "permission_denied")
    assert written(owner) == before


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"name", "role"}),
        (NEW | {"name": " "}, {"name"}),
        (NEW | {"name": "x" * 81}, {"name"}),
        (NEW | {"role": "king"}, {"role"}),
        (NEW | {"role": None}, {"role"}),
        (NEW | {"days": 0}, {"days"}),
        (NEW | {"days": -1}, {"days"}),
        (NEW | {"days": 3651}, {"days"}),
        (NEW | {"days": 10**30}, {"days"}),
        (NEW | {"days": 1.5}, {"days"}),
        (NEW | {"days": "30"}, {"days"}),
        (NEW | {"days": True}, {"days"}),
        (NEW | {"secret": "ff_mine"}, {"secret"}),
        (NEW | {"membership_id": str(uuid.uuid4())}, {"membership_id"}),
    ],
)
def test_malformed_key_is_refused(owner, body, fields):
    key = make_key(owner)
    before = written(owner)

    response = post(key, body)

    assert (problem_of(response), fields_of(response)) == ((422, "malformed_request"), fields)
    assert written(owner) == before


def test_keys_are_listed_whole_oldest_first_without_what_opens(owner):
    admin = make_key(owner, Role.ADMIN)
    with tenant(owner.id):
        member = Membership.objects.get(user_id=owner_id(owner))
        later = AT + dt.timedelta(hours=1)
        made = operations.create_api_key(
            membership_id=member.id, name="Old", role=Role.VIEWER, at=later, expires_at=later + dt.timedelta(days=1)
        )
        operations.revoke_api_key(api_key_id=made.id, at=later + dt.timedelta(minutes=1))
    email = call("GET", "/api/v1/me", key=admin).json()["email"]
    with tenant(owner.id):
        used_at = ApiKey.objects.get(name="test").last_used_at
    make_key(make_tenant())

    page = listed(admin)

    assert page == {
        "items": [
            {
                "id": str(id_of(owner, admin)),
                "name": "test",
                "role": "admin",
                "prefix": admin[:10],
                "member": email,
                "created_at": "2026-11-23T02:00:00+00:00",
                "expires_at": None,
                "last_used_at": used_at.isoformat(),
                "revoked_at": None,
            },
            {
                "id": str(made.id),
                "name": "Old",
                "role": "viewer",
                "prefix": made.secret[:10],
                "member": "owner@harper.example",
                "created_at": "2026-11-23T03:00:00+00:00",
                "expires_at": "2026-11-24T03:00:00+00:00",
                "last_used_at": None,
                "revoked_at": "2026-11-23T03:01:00+00:00",
            },
        ],
        "next_cursor": None,
    }


def test_pages_show_every_key_once(owner):
    secrets = [make_key(owner) for _ in range(5)]
    expected = sorted(str(id_of(owner, secret)) for secret in secrets)  # all made at one moment: by id

    first = listed(secrets[0], limit=3)
    second = listed(secrets[0], limit=3, cursor=first["next_cursor"])

    assert [[each["id"] for each in page["items"]] for page in (first, second)] == [expected[:3], expected[3:]]
    assert second["next_cursor"] is None


def test_revoked_key_is_refused_at_once(owner):
    admin, other = make_key(owner, Role.ADMIN), make_key(owner, Role.OWNER)
    assert works(other)  # so that this process knows where the key belongs
    path = f"{KEYS}/{id_of(owner, other)}"

    first = call("DELETE", path, key=admin)

    assert (first.status_code, first.content) == (204, b"")
    assert problem_of(call("GET", "/api/v1/me", key=other)) == (401, "not_authenticated")
    after = written(owner)
    again = call("DELETE", path, key=admin)
    assert (again.status_code, again.content) == (204, b"")
    assert written(owner) == after
    with tenant(owner.id):
        revoked = AuditEvent.objects.get(action="revoke")
        assert ApiKey.objects.get(id=id_of(owner, other)).revoked_at == revoked.at
    me = call("GET", "/api/v1/me", key=admin).json()
    assert (revoked.actor_id, revoked.subject, revoked.subject_id, revoked.details) == (
        uuid.UUID(me["user_id"]),
        "api_key",
        id_of(owner, other),
        {},
    )


def test_key_may_revoke_itself(owner):
    admin = make_key(owner, Role.ADMIN)

    assert call("DELETE", f"{KEYS}/{id_of(owner, admin)}", key=admin).status_code == 204
    assert problem_of(call("DELETE", f"{KEYS}/{id_of(owner, admin)}", key=admin)) == (401, "not_authenticated")


def test_key_of_another_tenant_does_not_exist(owner):
    other = make_tenant()
    admin, foreign = make_key(owner, Role.ADMIN), make_key(other)
    before = written(owner), written(other)

    for wanted in (id_of(other, foreign), uuid.uuid4()):
        assert problem_of(call("DELETE", f"{KEYS}/{wanted}", key=admin)) == (404, "not_found")

    assert (written(owner), written(other)) == before
    assert works(foreign)


@pytest.mark.parametrize(
    ("role", "statuses"),
    [("owner", (200, 201, 204, 200)), ("admin", (200, 201, 204, 200)), ("member", (403,) * 4), ("viewer", (403,) * 4)],
)
def test_only_admins_manage_keys_and_read_the_trail(owner, role, statuses):
    key, other = make_key(owner, Role(role)), id_of(owner, make_key(owner))

    answers = [
        call("GET", KEYS, key=key),
        post(key, NEW),
        call("DELETE", f"{KEYS}/{other}", key=key),
        call("GET", "/api/v1/audit-events", key=key),
    ]

    assert tuple(answer.status_code for answer in answers) == statuses
