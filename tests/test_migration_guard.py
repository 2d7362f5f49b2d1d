"""Guard: every migration may run while the release before serves, or says why it may nevertheless."""

import pytest
from django.db import migrations

from infra.migrations import DangerousMigrations, dangers_of, examine, pending_in, refuse_dangerous

LISTING = """
[X]  tenants.0001_initial
[X]  core.0001_initial ... (tenants.0001_initial)
[ ]  core.0002_portfolio_deletion
[ ]  jobs.0004_newest_of_subject
"""


def test_each_migration_is_safe_or_says_why(database):
    found = {f"{each.app_label}.{each.name}": (dangers, hasattr(each, "safe_because")) for each, dangers in examine()}

    assert len(found) >= 30
    assert {name: dangers for name, (dangers, says_why) in found.items() if dangers and not says_why} == {}


def test_none_says_why_without_need(database):
    assert [each.name for each, dangers in examine() if hasattr(each, "safe_because") and not dangers] == []


NEW = 'CREATE TABLE "x" ("id" uuid NOT NULL);'
SAFE = [
    [NEW],
    [NEW, 'CREATE INDEX "i" ON "x" ("a");'],
    [NEW, 'ALTER TABLE "x" ADD CONSTRAINT "c" CHECK ("a" > 0);', 'ALTER TABLE "x" ENABLE ROW LEVEL SECURITY;'],
    [NEW, 'CREATE POLICY "p" ON "x" USING (true);'],
    ['ALTER TABLE "x" ADD COLUMN "a" integer NULL;'],
    ['ALTER TABLE "x" ADD COLUMN "a" integer DEFAULT 0 NOT NULL;'],
    ['CREATE INDEX CONCURRENTLY "i" ON "x" ("a");'],
    ['ALTER TABLE "x" ADD CONSTRAINT "c" CHECK ("a" > 0) NOT VALID;'],
]
FAULTS = {
    "DROPPING columns": ['ALTER TABLE "x" DROP COLUMN "a" CASCADE;'],
    "DROPPING table": ['DROP TABLE "x" CASCADE;'],
    "RENAMING columns": ['ALTER TABLE "x" RENAME COLUMN "a" TO "b";'],
    "RENAMING tables": ['ALTER TABLE "x" RENAME TO "y";'],
    "NOT NULL constraint on columns": [
        'ALTER TABLE "x" ADD COLUMN "a" integer DEFAULT 0 NOT NULL;',
        'ALTER TABLE "x" ALTER COLUMN "a" DROP DEFAULT;',
    ],
    "ADDING unique constraint": ['ALTER TABLE "x" ADD CONSTRAINT "c" UNIQUE ("a");'],
    "CREATE INDEX locks table": ['CREATE INDEX "i" ON "x" ("a");'],
    "ADDING a constraint reads the whole table under a lock (NOT VALID, then validate)": [
        'ALTER TABLE "x" ADD CONSTRAINT "c" CHECK ("a" > 0);'
    ],
    "CHANGING policies changes which rows the code that serves can see": ['CREATE POLICY "p" ON "x" USING (true);'],
}


def migration(*operations):
    made = migrations.Migration("planted", "core")
    made.operations = operations
    return made


@pytest.mark.parametrize("statements", SAFE, ids=lambda each: each[-1])
def test_what_the_release_before_can_live_with_is_let_pass(statements):
    assert dangers_of(migration(), statements) == []


@pytest.mark.parametrize(("danger", "statements"), FAULTS.items())
def test_fault_is_found(danger, statements):
    assert dangers_of(migration(), statements) == [danger]


def test_data_and_schema_go_apart():
    work = migrations.RunPython(migrations.RunPython.noop)

    assert dangers_of(migration(work), []) == []
    assert dangers_of(migration(work, migrations.RunSQL("")), []) == [
        "MIXING data and schema holds locks for as long as the data take"
    ]


def test_pending_ones_are_read_from_the_listing():
    assert pending_in(LISTING) == {("core", "0002_portfolio_deletion"), ("jobs", "0004_newest_of_subject")}


def test_pending_ones_that_say_why_are_let_pass(database):
    refuse_dangerous(LISTING)


def test_a_pending_one_that_does_not_is_refused(database, monkeypatch):
    from importlib import import_module

    monkeypatch.delattr(import_module("services.jobs.migrations.0004_newest_of_subject").Migration, "safe_because")

    with pytest.raises(DangerousMigrations, match=r"^jobs\.0004_newest_of_subject: CREATE INDEX locks table$"):
        refuse_dangerous(LISTING)


def test_everything_may_be_done_to_an_empty_database(database, monkeypatch):
    from importlib import import_module

    monkeypatch.delattr(import_module("services.jobs.migrations.0004_newest_of_subject").Migration, "safe_because")

    refuse_dangerous(LISTING.replace("[X]", "[ ]"))
