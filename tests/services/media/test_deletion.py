"""Videos and their files go, when asked for and when old; nothing is left that nothing points to."""

import datetime as dt

import pytest

from fatfire.kit.storage import storage
from services.jobs.models import Job
from services.jobs.operations import enqueue
from services.media import operations, playback, queries
from services.media.jobs import PREPARE, TIDY
from services.media.models import Video, VideoState
from tenants.isolation import operator, tenant
from tests.factories import AT, make_tenant
from tests.services.media import jobs
from tests.services.media.rows import arrived, clip, files_of, make_video, send
from workers import tasks  # noqa: F401  # registers the operations
from workers.runner import advance


def test_deleted_video_takes_its_files_and_jobs_along(home, run_jobs):
    video = arrived(home.id, clip())
    with tenant(home.id):
        operations.delete_video(video_id=video.id, at=AT)
        assert not queries.list_videos().exists()
        assert Job.objects.get(kind=PREPARE.name).state == "cancelled"

    run_jobs(now=lambda: AT)

    with tenant(home.id):
        assert not Video.objects.exists()
    assert files_of(home.id) == []


def test_upload_that_has_begun_is_forgotten(home, run_jobs, folder):
    with tenant(home.id):
        video = make_video()
    send(home.id, video.id, b"a part of it")
    with tenant(home.id):
        operations.delete_video(video_id=video.id, at=AT)

    run_jobs(now=lambda: AT)

    assert list((folder / "uploads").iterdir()) == []


def test_what_is_old_goes_and_what_was_left_goes_on(home):
    job_id = jobs.SCENARIOS["media.tidy"](home.id)

    assert advance(job_id=job_id, tenant_id=None, now=lambda: AT)

    with tenant(home.id):
        states = Video.objects.order_by("state").values_list("state", "original_deleted_at", "pieces_deleted_at")
        assert list(states) == [
            (VideoState.READY, AT, AT),
            (VideoState.UPLOADING, None, None),
            (VideoState.WORKING, None, None),
        ]
        assert Video.objects.get(state=VideoState.UPLOADING).deleted_at == AT
        ready = Video.objects.get(state=VideoState.READY)
        assert not playback.has_playlist(video=ready)
        assert sorted(Job.objects.values_list("kind", flat=True)) == ["media.delete_video", "media.prepare_video"]
    assert files_of(home.id) == ["480p.mp4", "original"]  # that of the one that is being worked on


@pytest.fixture
def no_jobs_for(admin):
    """Return what lets the database refuse every new job of a tenant, with an error that nobody expects."""

    def refuse(owner):
        admin.execute(
            "CREATE FUNCTION refuse_job() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'planted'; END $$"
        )
        admin.execute(
            "CREATE TRIGGER refuse_job BEFORE INSERT ON jobs_job FOR EACH ROW "
            f"WHEN (NEW.tenant_id = '{owner.id}') EXECUTE FUNCTION refuse_job()"
        )

    yield refuse
    admin.execute("DROP FUNCTION refuse_job CASCADE")


def test_trouble_of_one_tenant_does_not_keep_the_others_waiting(home, no_jobs_for, caplog):
    first, second = sorted((home, make_tenant()), key=lambda each: each.id)
    for each in (first, second):
        arrived(each.id, clip())
        with tenant(each.id):
            Job.objects.all().delete()
    no_jobs_for(first)
    with operator():
        job_id = enqueue(kind=TIDY, at=AT).id

    assert advance(job_id=job_id, tenant_id=None, now=lambda: AT)

    with tenant(second.id):
        assert Job.objects.get().kind == PREPARE.name
    with operator():
        tidying = Job.objects.get(id=job_id)
    assert (tidying.state, tidying.error_code) == ("failed", "internal_error")
    assert "planted" in caplog.text


@pytest.mark.parametrize("state", [VideoState.FAILED, VideoState.CANCELLED])
def test_what_was_given_up_goes_with_its_original(home, state):
    with tenant(home.id):
        video = make_video()
        long_ago = AT - dt.timedelta(days=200)
        Video.objects.update(state=state, size=1, asked_at=long_ago)
    for name in ("original", "0/480p/00000.m4s", "sound/audio-0/media.m4s"):
        storage().put(f"{queries.folder_of(video)}{name}", b"old", "")
    with operator():
        job_id = enqueue(kind=TIDY, at=AT).id

    assert advance(job_id=job_id, tenant_id=None, now=lambda: AT)

    assert files_of(home.id) == []
    with tenant(home.id):
        assert Video.objects.values_list("original_deleted_at", "pieces_deleted_at").get() == (AT, AT)


def test_original_is_kept_while_it_is_needed(home, run_jobs):
    video = arrived(home.id, clip())
    with tenant(home.id):
        Job.objects.all().delete()
        Video.objects.update(asked_at=AT - dt.timedelta(days=365))

    job_id = jobs.SCENARIOS["media.tidy"](home.id)
    advance(job_id=job_id, tenant_id=None, now=lambda: AT)

    assert storage().size(queries.original_key(video)) == len(clip())


def test_files_of_nobody_are_found(home):
    job_id = jobs.SCENARIOS["media.delete_strays"](home.id)
    assert files_of(home.id) == ["late", "original", "original"]

    assert advance(job_id=job_id, tenant_id=None, now=lambda: AT)

    assert files_of(home.id) == ["late", "original"]
