"""The work on a video, from the file that came to what can be played."""

from services.jobs.models import Job
from services.media import queries
from services.media.models import Rendition, Segment, VideoState
from tenants.isolation import tenant
from tests.factories import AT
from tests.services.media.rows import arrived, clip, files_of


def test_video_is_made_piece_by_piece(home, run_jobs):
    video = arrived(home.id, clip())
    assert video.state == VideoState.WORKING

    run_jobs(now=lambda: AT)

    with tenant(home.id):
        video = queries.get_video(video_id=video.id)
        assert (video.state, video.error_code) == (VideoState.READY, "")
        assert list(Segment.objects.order_by("number").values_list("number", flat=True)) == [0, 1, 2]
        made = Rendition.objects.get()
        jobs = sorted(Job.objects.values_list("kind", "state"))
    assert (video.width, video.height, str(video.seconds), video.has_poster) == (160, 90, "6.106", True)
    assert (made.name, made.width, made.height) == ("480p", 160, 90)
    assert jobs == [
        ("media.assemble_rendition", "succeeded"),
        *[("media.make_poster", "succeeded")],
        *[("media.make_segment", "succeeded")] * 3,
        ("media.make_tracks", "succeeded"),
        ("media.prepare_video", "succeeded"),
    ]
    assert files_of(home.id) == [
        "0/480p/00000.m4s", "0/480p/00001.m4s", "0/480p/00002.m4s", "0/480p/init.mp4",
        "0/audio-0/init.mp4", "0/audio-0/media.m4s", "0/audio-0/whole.m4a", "480p.mp4", "original", "poster.jpg",
    ]  # fmt: skip
