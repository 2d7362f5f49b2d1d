"""The audit trail: events are added by the tenant and never changed."""

import uuid

import pytest
from django.db import IntegrityError, ProgrammingError, connection

from tenants import audit
from tenants.isolation import TenantNotSet, acting_as, operator, shared, tenant
from tenants.models import AuditEvent
from tests.factories import AT, make_tenant

FIELDS = ("tenant_id", "actor_id", "action", "subject", "subject_id", "details", "at")


def test_event_says_who_did_what_when(database):
    one, person, thing = make_tenant(), uuid.uuid4(), uuid.uuid4()

    with tenant(one.id):
        with acting_as(person):
            audit.record(action="rename", subject="portfolio", subject_id=thing, at=AT, name="Ours")
        audit.record(action="sweep", subject="portfolio", subject_id=None, at=AT)

        assert set(AuditEvent.objects.exclude(subject_id=None).values_list(*FIELDS[:-2])) == {
            (one.id, person, "rename", "portfolio", thing)
        }
        assert list(AuditEvent.objects.order_by("action").values_list("actor_id", "details", "at")) == [
            (person, {"name": "Ours"}, AT),
            (None, {}, AT),
        ]


def test_event_goes_with_what_it_tells_of(database):
    one = make_tenant()

    with pytest.raises(ZeroDivisionError), tenant(one.id):  # noqa: PT012  # the event must be there before
        audit.record(action="rename", subject="portfolio", subject_id=None, at=AT)
        1 / 0  # noqa: B018
    with tenant(one.id):
        assert not AuditEvent.objects.exists()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tenants_auditevent SET action = 'nothing'",
        "DELETE FROM tenants_auditevent",
        "TRUNCATE tenants_auditevent",
    ],
)
def test_database_refuses_to_change_events(statement, database):
    one = make_tenant()
    with tenant(one.id):
        audit.record(action="rename", subject="portfolio", subject_id=None, at=AT)

    with pytest.raises(ProgrammingError, match="permission denied"), tenant(one.id), connection.cursor() as cursor:
        cursor.execute(statement)
    with tenant(one.id):
        assert [event.action for event in AuditEvent.objects.all()] == ["rename"]


def test_event_needs_a_tenant(database):
    with pytest.raises(TenantNotSet), shared():
        audit.record(action="rename", subject="portfolio", subject_id=None, at=AT)
    with pytest.raises(IntegrityError), operator():
        audit.record(action="rename", subject="portfolio", subject_id=None, at=AT)
