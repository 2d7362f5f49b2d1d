"""The restore drill: for real on a PostgreSQL that archives its log, and as the calls that RDS would get."""

import contextlib
import datetime as dt
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import boto3
import psycopg
import pytest
from botocore.stub import ANY, Stubber
from django.core.management import CommandError, call_command

from fatfire.kit.postgres import EmbeddedPostgres, bin_dir
from fatfire.kit.serving import Server
from infra.drill import Contents, DrillFailed, contents, differences, drill, on_rds

SCHEMA = """
    CREATE ROLE app_operator LOGIN;
    CREATE TABLE asset (id int PRIMARY KEY);
    CREATE TABLE tenant (id int PRIMARY KEY);
    ALTER TABLE asset ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
    CREATE POLICY asset_operator ON asset TO app_operator USING (true);
    GRANT SELECT, INSERT, DELETE ON asset, tenant TO app_operator;
    INSERT INTO tenant SELECT generate_series(1, 2);
    INSERT INTO asset SELECT generate_series(1, 1000);
"""


@pytest.fixture
def folder():
    """Give a folder that the database server's account can reach; as root, pytest's own is closed to others."""
    path = Path(tempfile.mkdtemp(prefix="fatfire-drill-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def archiving(folder):
    """A PostgreSQL that archives its log, with a base backup in folder/base that is older than most of its rows."""
    archive = folder / "archive"
    archive.mkdir(mode=0o777)
    archive.chmod(0o777)
    source = EmbeddedPostgres(folder / "source", durable=False)
    with source, psycopg.connect(source.dsn("postgres", "postgres"), autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET archive_mode = 'on'")
        admin.execute(f"ALTER SYSTEM SET archive_command = 'cp %p {archive}/%f'")
    with source:
        with psycopg.connect(source.dsn("postgres", "postgres"), autocommit=True) as admin:
            base = ["-D", str(folder / "base"), "-X", "none", "-c", "fast", "-d", source.dsn("postgres", "postgres")]
            subprocess.run([bin_dir() / "pg_basebackup", *base], check=True, capture_output=True, env={})
            admin.execute(SCHEMA)
        yield source


def from_archive(folder: Path, source: EmbeddedPostgres):
    """Return what restores the base backup and replays the archive, as someone would who has no RDS."""

    @contextlib.contextmanager
    def restore(moment: dt.datetime):
        with psycopg.connect(source.dsn("postgres", "postgres"), autocommit=True) as admin:
            admin.execute("INSERT INTO asset VALUES (9999)")  # after the moment: it must not come back
            admin.execute("DELETE FROM tenant WHERE id = 1")  # nor must this be gone
            wanted = admin.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()[0]
            while (
                admin.execute("SELECT last_archived_wal < %s FROM pg_stat_archiver", [wanted]).fetchone()[0]
                is not False
            ):
                pass
        copy = folder / "copy"
        copy.mkdir(mode=0o711)
        shutil.move(folder / "base", copy / "data")
        (copy / "data" / "recovery.signal").touch()
        with (copy / "data" / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"restore_command = 'cp {shlex.quote(str(folder / 'archive'))}/%f %p'\n")
            settings.write(f"recovery_target_time = '{moment.isoformat()}'\nrecovery_target_action = 'promote'\n")
            settings.write(
                "archive_mode = 'off'\nhot_standby = 'off'\n"
            )  # nobody is let in before the moment is reached
        owner = (source.root / "data").stat()
        for path in [copy / "data", *(copy / "data").rglob("*")]:
            os.chown(path, owner.st_uid, owner.st_gid)
        with EmbeddedPostgres(copy, durable=False) as restored:
            yield restored.dsn("app_operator", "postgres")

    return restore


def test_moment_is_restored_and_found_the_same(folder, archiving):
    said = []

    drill(archiving.dsn("app_operator", "postgres"), from_archive(folder, archiving), say=said.append)

    assert said[0].startswith("1002 rows in 2 tables at ")
    assert said[-1] == "the copy is the same: rows of 2 tables, 2 policies; it is gone"
    assert contents(archiving.dsn("app_operator", "postgres"))[1].rows == {"asset": 1001, "tenant": 1}


def test_copy_of_another_moment_is_found_out(folder, archiving):
    url = archiving.dsn("app_operator", "postgres")
    earlier, _ = contents(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO asset VALUES (1001)")
    restore = from_archive(folder, archiving)

    with pytest.raises(DrillFailed, match=r"^asset has 1000 rows, and had 1001$"):
        drill(url, lambda _: restore(earlier), say=lambda _: None)


HAD = Contents({"a": 2, "b": 5}, frozenset({"p", "q"}))


@pytest.mark.parametrize(
    ("after", "restored", "found"),
    [
        (HAD, HAD, []),
        (HAD, Contents({"a": 2, "b": 4}, HAD.policies), ["b has 4 rows, and had 5"]),
        (Contents({"a": 2, "b": 7}, HAD.policies), Contents({"a": 2, "b": 6}, HAD.policies), []),
        (
            Contents({"a": 2, "b": 7}, HAD.policies),
            Contents({"a": 2, "b": 8}, HAD.policies),
            ["b has 8 rows, and had 5 to 7"],
        ),
        (HAD, Contents({"a": 2}, HAD.policies), ["b has 0 rows, and had 5"]),
        (HAD, Contents({**HAD.rows, "c": 1}, HAD.policies), ["c has 1 rows, and had 0"]),
        (HAD, Contents(HAD.rows, frozenset({"p", "r"})), ["lost: q", "new: r"]),
    ],
)
def test_what_differs_is_named(after, restored, found):
    assert differences(HAD, after, restored) == found


MOMENT = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
INSTANCE = {
    "DBInstanceIdentifier": "wealth",
    "DBInstanceStatus": "available",
    "BackupRetentionPeriod": 7,
    "LatestRestorableTime": MOMENT + dt.timedelta(minutes=1),
    "DBSubnetGroup": {"DBSubnetGroupName": "private"},
    "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-1", "Status": "active"}],
    "DBParameterGroups": [{"DBParameterGroupName": "wealth-pg18"}],
}
COPY = {
    "DBInstanceIdentifier": "wealth-drill",
    "DBInstanceStatus": "available",
    "Endpoint": {"Address": "wealth-drill.example", "Port": 5433},
}
URL = "postgresql://app_operator:word@wealth.example:5432/fatfire?sslmode=verify-full"


def stubbed(*calls):
    """Return RDS's client, which expects these calls and no others, and answers by AWS's own description of them."""
    rds = boto3.client("rds", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")  # noqa: S106
    stub = Stubber(rds)
    for name, answer, parameters in calls:
        stub.add_response(name, answer, parameters)
    stub.activate()
    return rds, stub


def test_rds_copy_is_private_and_goes_whatever_happens():
    described = ("describe_db_instances", {"DBInstances": [INSTANCE]}, {"DBInstanceIdentifier": "wealth"})
    copied = ("describe_db_instances", {"DBInstances": [COPY]}, {"DBInstanceIdentifier": "wealth-drill"})
    rds, stub = stubbed(
        described,
        (
            "restore_db_instance_to_point_in_time",
            {},
            {
                "SourceDBInstanceIdentifier": "wealth",
                "TargetDBInstanceIdentifier": "wealth-drill",
                "RestoreTime": MOMENT,
                "DBSubnetGroupName": "private",
                "VpcSecurityGroupIds": ["sg-1"],
                "DBParameterGroupName": "wealth-pg18",
                "PubliclyAccessible": False,
                "MultiAZ": False,
                "DeletionProtection": False,
                "Tags": ANY,
            },
        ),
        copied,
        copied,
        (
            "delete_db_instance",
            {},
            {"DBInstanceIdentifier": "wealth-drill", "SkipFinalSnapshot": True, "DeleteAutomatedBackups": True},
        ),
    )

    with contextlib.suppress(ZeroDivisionError), on_rds(rds, "wealth", URL)(MOMENT) as url:
        assert url == "postgresql://app_operator:word@wealth-drill.example:5433/fatfire?sslmode=verify-full"
        raise ZeroDivisionError

    stub.assert_no_pending_responses()


def test_instance_without_backups_is_said():
    rds, stub = stubbed(
        (
            "describe_db_instances",
            {"DBInstances": [{**INSTANCE, "BackupRetentionPeriod": 0}]},
            {"DBInstanceIdentifier": "wealth"},
        )
    )

    with pytest.raises(DrillFailed, match=r"^wealth keeps no backups$"), on_rds(rds, "wealth", URL)(MOMENT):
        pass
    stub.assert_no_pending_responses()


def rds_that_knows_none(environ, start_response):
    """Answer as RDS does when there is no such instance."""
    start_response("404 Not Found", [("Content-Type", "text/xml")])
    return [b"<ErrorResponse><Error><Code>DBInstanceNotFound</Code><Message>none</Message></Error></ErrorResponse>"]


def test_command_asks_rds_and_says_what_it_answers(database, monkeypatch, capsys):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nobody")

    with Server(rds_that_knows_none, 0) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        with pytest.raises(CommandError, match="DBInstanceNotFound"):
            call_command("restore_drill", "wealth")

    assert capsys.readouterr().out.endswith("; restoring\n")
