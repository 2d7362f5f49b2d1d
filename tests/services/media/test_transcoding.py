"""The work on a video: piece by piece, a few at a time, stopped, tried again, refused."""

import datetime as dt
import io
from functools import partial

import av
import pytest
from django.db.models import F

from fatfire.kit.storage import StorageUnavailable, storage
from services.jobs import operations as jobs
from services.jobs.models import Job, JobStep
from services.jobs.queries import due_jobs
from services.media import operations, playback, queries
from services.media.jobs import MAKE_SEGMENT, MAKE_TRACKS, PREPARE, TIDY
from services.media.models import Allowance, Plan, Playlist, Rendition, Segment, Video, VideoState
from services.media.operations import attempt
from services.media.refusals import SENTENCES
from tenants.isolation import operator, tenant
from tests.factories import AT, make_tenant
from tests.services.media.rows import arrived, clip, files_of, ready_video
from workers import tasks  # noqa: F401  # registers the operations
from workers.runner import advance

FILES = [
    "0/480p/00000.m4s", "0/480p/00001.m4s", "0/480p/00002.m4s", "0/480p/init.mp4",
    "480p.mp4", "original", "poster.jpg",
    "sound/audio-0/init.mp4", "sound/audio-0/media.m4s", "sound/audio-0/whole.m4a",
]  # fmt: skip


def open_segments():
    return Job.objects.filter(kind=MAKE_SEGMENT.name, finished_at__isnull=True).count()


def run_kind(home, kind, *, at=AT):
    """Run one due step of a job of the kind; return whether there was one."""
    with tenant(home.id):
        known = set(Job.objects.filter(kind=kind.name).values_list("id", flat=True))
    return any(
        advance(job_id=job_id, tenant_id=of, now=lambda: at) for job_id, of in due_jobs(at=at) if job_id in known
    )


def run_segment(home, number):
    """Run the job that makes the segment."""
    with tenant(home.id):
        segment = Segment.objects.get(number=number)
        job = Job.objects.get(kind=MAKE_SEGMENT.name, subject_id=segment.id)
    assert advance(job_id=job.id, tenant_id=home.id, now=lambda: AT)


def run_later(run_jobs, *, minutes=5):
    """Run what is due in each of so many minutes."""
    for minute in range(minutes):
        run_jobs(now=partial(lambda minute: AT + dt.timedelta(minutes=minute), minute))


def test_video_is_made_piece_by_piece(home, run_jobs):
    video = arrived(home.id, clip())

    run_jobs(now=lambda: AT)

    with tenant(home.id):
        video = queries.get_video(video_id=video.id)
        assert (video.state, video.error_code, video.ready_at) == (VideoState.READY, "", AT)
        assert list(Segment.objects.order_by("number").values_list("number", flat=True)) == [0, 1, 2]
        made = Rendition.objects.get()
        done = sorted(Job.objects.values_list("kind", "state"))
        playlist = playback.playlist(video=video, name="480p.m3u8")
    assert (video.width, video.height, str(video.seconds), video.has_poster) == (160, 90, "6.106", True)
    assert (made.name, made.width, made.height) == ("480p", 160, 90)
    assert done == [
        ("media.assemble_rendition", "succeeded"),
        ("media.make_poster", "succeeded"),
        *[("media.make_segment", "succeeded")] * 3,
        ("media.make_tracks", "succeeded"),
        ("media.prepare_video", "succeeded"),
    ]
    assert files_of(home.id) == FILES
    assert storage().size(queries.rendition_key(video, "480p")) == made.size
    assert playlist.count("#EXTINF") == playlist.count("/files/") - 1  # and the header
    assert playlist.endswith("#EXT-X-ENDLIST\n")


def add_history(took):
    """Write a ready video whose segments have taken so long, as pairs of planned cost and real seconds."""
    video = ready_video()
    Segment.objects.filter(video=video).delete()
    Segment.objects.bulk_create(
        Segment(
            video=video, number=number, start_s=number, length_s=1, cost_s=cost, made_at=AT, started_at=AT, result={},
            cpu_ms=1, wall_ms=round(1000 * real), memory_mb=90, fetched_bytes=500,
        )
        for number, (cost, real) in enumerate(took)
    )  # fmt: skip
    return video


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([], 1.0),
        ([[(2.0, 3.0)] * 4], 1.0),
        ([[(2.0, 3.0)] * 5], 1.25),
        ([[(2.0, 3.0)] * 6], 1.5),
        ([[(2.0, 3.0)] * 6 + [(2.0, 100.0)]], 1.5),
        ([[(2.0, 3.0)] * 3, [(2.0, 5.0)] * 4], 1.5),
        ([[(0.9, 9.0)] * 9], 1.0),
        ([[(2.0, 8.0)] * 99, *[[(2.0, 1.0)] * 2] * 5], 0.5),
    ],
    ids=["none", "few", "as many as the table", "more", "one was held up", "two videos", "too short", "long ago"],
)
def test_pace_is_that_of_the_newest_videos(home, history, expected):
    with tenant(home.id):
        for number, took in enumerate(history):
            video = add_history(took)
            Video.objects.filter(id=video.id).update(created_at=AT + dt.timedelta(minutes=number))
        assert queries.pace() == pytest.approx(expected)
    with tenant(make_tenant(slug="other").id):
        assert queries.pace() == 1.0


def test_pace_of_a_video_that_is_not_ready_is_not_known(home):
    with tenant(home.id):
        Video.objects.filter(id=add_history([(2.0, 9.0)] * 9).id).update(state=VideoState.CANCELLED)
        assert queries.pace() == 1.0


def test_prediction_follows_the_pace_of_the_past(home):
    predicted = []
    for took in ([], [(2.0, 5.0)] * 6):
        with tenant(home.id):
            add_history(took)
        video = arrived(home.id, clip())
        run_kind(home, PREPARE)
        with tenant(home.id):
            predicted.append(queries.get_video(video_id=video.id).predicted_ms)

    assert predicted[0] > 0
    assert predicted[1] == pytest.approx(2.5 * predicted[0], abs=2)


def test_playlist_grows_in_order(home, run_jobs):
    arrived(home.id, clip())
    run_kind(home, PREPARE)
    run_kind(home, MAKE_TRACKS)
    with tenant(home.id):
        ids = list(Segment.objects.order_by("number").values_list("id", flat=True))
        asked_for = set(Job.objects.filter(kind=MAKE_SEGMENT.name).values_list("subject_id", flat=True))
    assert asked_for == set(ids[:2])  # two at a time

    run_segment(home, 1)
    with tenant(home.id):
        assert not Playlist.objects.filter(name=queries.MASTER).exists()  # the second alone can't be played
    run_segment(home, 0)

    with tenant(home.id):
        text = Playlist.objects.get(name="480p.m3u8").text
        video = Video.objects.get()
        progress = queries.progress_of(video=video, at=AT + dt.timedelta(seconds=4))
    assert [line for line in text.split("\n") if line.endswith(".m4s")] == ["480p/00000.m4s", "480p/00001.m4s"]
    assert "#EXT-X-ENDLIST" not in text
    assert (progress.segments, progress.segments_made, progress.elapsed_s) == (3, 2, 4.0)
    assert progress.left_s == pytest.approx(4.0 * 18 / 82, rel=0.1)  # by the frames, of which the last piece has few


def test_household_has_so_many_segments_at_once(home, run_jobs):
    with tenant(home.id):
        Allowance.objects.create(parallel=1)
    for _ in range(2):
        arrived(home.id, clip(4.1))
    while run_kind(home, PREPARE):
        pass

    with tenant(home.id):
        assert open_segments() == 1
        first = Video.objects.earliest("created_at", "id")
    most = 0
    while due := due_jobs(at=AT):
        advance(job_id=due[0][0], tenant_id=due[0][1], now=lambda: AT)
        with tenant(home.id):
            most = max(most, open_segments())

    with tenant(home.id):
        assert most == 1
        assert set(Video.objects.values_list("state", flat=True)) == {VideoState.READY}
        assert first.state == VideoState.WORKING  # as it was


def test_cancelled_it_stops_and_goes_on_from_what_is_made(home, run_jobs):
    video = arrived(home.id, clip())
    run_kind(home, PREPARE)
    run_segment(home, 0)

    with tenant(home.id):
        operations.cancel_transcode(video_id=video.id, at=AT)
        assert not Job.objects.filter(finished_at__isnull=True).exists()
        with pytest.raises(operations.NotBeingPrepared):
            operations.cancel_transcode(video_id=video.id, at=AT)
    assert run_jobs(now=lambda: AT) == 0

    later = AT + dt.timedelta(minutes=1)
    with tenant(home.id):
        operations.retry_transcode(video_id=video.id, at=later)
        with pytest.raises(operations.NotToBeTriedAgain):
            operations.retry_transcode(video_id=video.id, at=later)
    run_jobs(now=lambda: later)
    with tenant(home.id):
        assert Video.objects.get().state == VideoState.READY
        moments = Segment.objects.order_by("number").values_list("made_at", flat=True)
        assert list(moments) == [AT, later, later]
    assert files_of(home.id) == FILES


def test_worker_that_was_too_late_writes_nothing(home, monkeypatch):
    video = arrived(home.id, clip())
    run_kind(home, PREPARE)
    put = type(storage()).put

    def cancelled_meanwhile(self, key, content, content_type):
        put(self, key, content, content_type)
        if key.endswith("00000.m4s"):
            with tenant(home.id):
                operations.cancel_transcode(video_id=video.id, at=AT)

    monkeypatch.setattr(type(storage()), "put", cancelled_meanwhile)
    run_segment(home, 0)

    with tenant(home.id):
        assert Video.objects.get().state == VideoState.CANCELLED
        assert not Segment.objects.filter(made_at__isnull=False).exists()


def lose_the_lease():
    JobStep.objects.filter(job__kind=MAKE_SEGMENT.name).update(attempts=F("attempts") + 1)


def be_planned_anew():
    Video.objects.update(plan_number=1)


@pytest.mark.parametrize("happen", [lose_the_lease, be_planned_anew])
def test_refusal_of_a_worker_that_was_too_late_ends_nothing(home, monkeypatch, happen):
    arrived(home.id, clip())
    run_kind(home, PREPARE)

    def cut_off_meanwhile(self, start, length):
        with tenant(home.id):
            happen()
        return b""

    monkeypatch.setattr(attempt.Original, "read_range", cut_off_meanwhile)
    run_segment(home, 0)

    with tenant(home.id):
        assert Video.objects.get().state == VideoState.WORKING


def test_storage_that_fails_is_tried_again(home, run_jobs, monkeypatch):
    arrived(home.id, clip())
    read, failures = attempt.Original.read_range, iter(range(2))

    def unavailable(self, start, length):
        if next(failures, None) is not None:
            raise StorageUnavailable
        return read(self, start, length)

    monkeypatch.setattr(attempt.Original, "read_range", unavailable)
    run_later(run_jobs)

    with tenant(home.id):
        assert Video.objects.get().state == VideoState.READY
    assert files_of(home.id) == FILES


def test_job_that_failed_for_good_fails_the_video(home, run_jobs, monkeypatch):
    arrived(home.id, clip())
    run_kind(home, PREPARE)

    def broken(*_):
        raise StorageUnavailable

    monkeypatch.setattr(attempt.Original, "read_range", broken)
    run_later(run_jobs)
    with tenant(home.id):
        assert Job.objects.filter(kind=MAKE_TRACKS.name, state="failed").exists()
    tidy(AT + dt.timedelta(minutes=6))

    with tenant(home.id):
        video = Video.objects.get()
        assert (video.state, video.error_code) == (VideoState.FAILED, "storage_unavailable")
        assert queries.may_retry(video=video)
        assert not Job.objects.filter(finished_at__isnull=True).exists()


def test_video_that_was_left_is_gone_on_with(home):
    arrived(home.id, clip())
    with tenant(home.id):
        Job.objects.all().delete()

    tidy(AT)

    with tenant(home.id):
        assert Job.objects.get().kind == PREPARE.name


def tidy(at):
    with operator():
        job = jobs.enqueue(kind=TIDY, at=at)
    assert advance(job_id=job.id, tenant_id=None, now=lambda: at)


REFUSALS = {
    "no video": (b"Dear insurer, " * 100, {}, "not_video"),
    "cut off": (clip()[: len(clip()) // 2], {}, "truncated"),
    "too long": (clip(), {"max_seconds": 5}, "too_long"),
}


@pytest.mark.parametrize(("content", "allowance", "reason"), REFUSALS.values(), ids=REFUSALS)
def test_refused_file_says_why(home, run_jobs, content, allowance, reason):
    with tenant(home.id):
        Allowance.objects.create(**allowance)
    video = arrived(home.id, content)

    run_jobs(now=lambda: AT)

    with tenant(home.id):
        video = queries.get_video(video_id=video.id)
        assert (video.state, video.error_code, video.error_detail) == (VideoState.FAILED, reason, SENTENCES[reason])
        assert not queries.may_retry(video=video)
        job = Job.objects.get()
        assert (job.kind, job.state, job.error_code) == (PREPARE.name, "failed", reason)
        assert not Plan.objects.exists()
    assert files_of(home.id) == ["original"]


def test_file_without_an_index_is_planned_by_its_whole_pass(home, run_jobs):
    arrived(home.id, clip(container="matroska"))
    run_kind(home, PREPARE)
    with tenant(home.id):
        assert Plan.objects.get().plan is None
        assert not Segment.objects.exists()

    run_jobs(now=lambda: AT)

    with tenant(home.id):
        assert Video.objects.get().state == VideoState.READY
        assert Segment.objects.count() == 3


def titled(title: bytes) -> bytes:
    """Return the clip as a Matroska whose sound has this title."""
    file, stand_in = io.BytesIO(), "W" * len(title)
    with av.open(io.BytesIO(clip())) as source, av.open(file, "w", format="matroska") as target:
        made = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        made[1].metadata["title"] = stand_in
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = made[packet.stream.index]
                target.mux(packet)
    return file.getvalue().replace(stand_in.encode(), title)


@pytest.mark.parametrize("title", ["Vöice".encode("latin-1"), b"x" * 5000], ids=["not UTF-8", "endless"])
def test_title_of_a_track_is_kept_as_far_as_it_can_be_read(home, run_jobs, title):
    arrived(home.id, titled(title))

    run_jobs(now=lambda: AT)

    with tenant(home.id):
        assert (Video.objects.get().state, Video.objects.get().error_code) == (VideoState.READY, "")
        (sound,) = Plan.objects.get().tracks["audio"]
    assert sound["title"] == title.decode(errors="replace")[:120]


def test_video_that_cannot_be_cut_exactly_is_made_as_one_piece(home, run_jobs):
    video = arrived(home.id, clip())
    run_kind(home, PREPARE)
    with tenant(home.id):
        row = Plan.objects.get()  # one frame more than there is: the second segment can't be as planned
        row.plan["segments"][1]["steps"] = [[1, 1], *row.plan["segments"][1]["steps"]]
        Plan.objects.update(plan=row.plan)

    run_jobs(now=lambda: AT)

    with tenant(home.id):
        video = queries.get_video(video_id=video.id)
        assert (video.state, video.plan_number) == (VideoState.READY, 1)
        assert list(Segment.objects.values_list("number", flat=True)) == [0]
        assert Plan.objects.get().plan["is_exact"] is False
    assert "1/480p/00000.m4s" in files_of(home.id)


def test_every_reason_has_its_sentence():
    from services.media.engine.refusal import Reason

    assert set(SENTENCES) == {reason.value for reason in Reason}
