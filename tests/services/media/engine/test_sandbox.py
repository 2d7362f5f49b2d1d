"""The child process: what it may do, what ends it, and that its work is the same however often it is done."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.media.engine import forks, pipe, sandbox
from services.media.engine.limits import Confinement
from services.media.engine.plan import Rendition, Wanted
from services.media.engine.reader import FileSource
from services.media.engine.refusal import Reason, Refused
from services.media.engine.segment import PROGRESS_FRAMES
from services.media.engine.wire import from_json, to_json
from tests.services.media.engine.inputs import Recipe, Sound, make, small
from tests.services.media.engine.oracle import look
from tests.services.media.engine.pipeline import LOSSLESS, Bytes, prepare, recut

RECIPE = Recipe("video", frames=90, sounds=(Sound(3.0),))
ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def run():
    prepared = prepare(make(RECIPE))
    return recut(prepared, [0, 31, 60])


def children_of(process: int) -> set[int]:
    """Return the children of all threads of a process: any of them may start one."""
    found: set[int] = set()
    for task in Path(f"/proc/{process}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the thread has ended
            found.update(int(child) for child in (task / "children").read_text().split())
    return found


def template() -> int:
    """Return the process that children are forks of."""
    (found,) = (
        child
        for child in children_of(os.getpid())
        if b"services.media.engine.child" in Path(f"/proc/{child}/cmdline").read_bytes()
    )
    return found


def children() -> list[int]:
    return sorted(children_of(template()))


def transcode(run, number, *, source=None, save=None, **options):
    return sandbox.transcode_segment(
        source=source or Bytes(run.content), plan=run.plan, number=number, save=save or (lambda *_: None), **options
    )


def test_confined_process_can_open_neither_files_nor_sockets():
    program = """
import socket
from services.media.engine.confine import confine
from services.media.engine.limits import Confinement

confine(Confinement())
for reach in (lambda: open("/etc/passwd"), lambda: open("/tmp/made", "w"), lambda: socket.socket()):
    try:
        reach()
    except OSError as error:
        print(error.errno)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["24", "24", "24"]  # EMFILE


def test_child_has_none_of_our_environment(monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "hush")

    assert forks.environment().keys() <= {"PYTHONPATH", "LC_ALL", "LD_LIBRARY_PATH"}


@pytest.mark.parametrize(
    ("confinement", "reason"),
    [
        (Confinement(memory_mb=60), Reason.TOO_MUCH_MEMORY),
        (Confinement(read_bytes=50_000), Reason.TOO_MANY_READS),
        (Confinement(wall_seconds=0.01), Reason.TOOK_TOO_LONG),
    ],
)
def test_broken_limit_is_named(run, confinement, reason):
    with pytest.raises(Refused) as refused:
        transcode(run, 0, confinement=confinement)

    assert refused.value.reason == reason
    assert children() == []


def test_want_of_memory_is_called_that_wherever_it_shows(run):
    """While the source is read, in a decoder, in the encoder: nowhere is it the video's fault."""
    found: list[Reason | None] = []
    for memory in range(60, 401, 4):
        try:
            transcode(run, 0, confinement=Confinement(memory_mb=memory))
            found.append(None)
        except Refused as refused:
            found.append(refused.reason)

    assert set(found) == {Reason.TOO_MUCH_MEMORY, None}
    assert (found[0], found[-1]) == (Reason.TOO_MUCH_MEMORY, None)


def test_damage_beside_want_of_memory_is_not_believed():
    """All memory may be free again when the work ends: what counts is how much it was at most."""
    program = """
import mmap
from services.media.engine.confine import Memory, confine
from services.media.engine.limits import Confinement

memory = Memory()
confine(Confinement(memory_mb=400))
print(memory.was_short(400))
mmap.mmap(-1, 350 << 20).close()
print(memory.was_short(400))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "True"]


def test_endless_work_is_ended_by_its_processor_time():
    content = make(small("long", size=(640, 360), frames=240, options={"preset": "ultrafast", "g": "240"}))
    prepared = prepare(content, Rendition("slow", None, preset="veryslow"))

    with pytest.raises(Refused) as refused:
        sandbox.transcode_segment(
            source=Bytes(content),
            plan=prepared.plan,
            number=0,
            save=lambda *_: None,
            confinement=Confinement(cpu_seconds=1),
        )

    assert refused.value.reason == Reason.TOOK_TOO_LONG


class Failing(Bytes):
    """A storage that answers once and then no more."""

    def read_range(self, start: int, length: int) -> bytes:
        """Raise from the second time on."""
        if self.requests == 1:
            raise ConnectionError("503")
        return super().read_range(start, length)


class Shrunk(Bytes):
    """An object that became shorter after its size was read."""

    def read_range(self, start: int, length: int) -> bytes:
        """Return less near the end."""
        return super().read_range(start, length)[: max(0, self.size - 20_000 - start)]


def test_storage_failure_comes_out_as_it_is_and_leaves_no_process(run):
    with pytest.raises(ConnectionError, match="503"):
        transcode(run, 1, source=Failing(run.content))

    assert children() == []


def test_truncated_object_is_a_clear_failure(run):
    with pytest.raises(Refused) as refused:
        transcode(run, 2, source=Shrunk(run.content))

    assert refused.value.reason == Reason.TRUNCATED


def test_cancelling_ends_the_work_at_its_next_progress(run):
    class Cancelled(Exception):
        pass

    def cancel(done: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        transcode(run, 0, progress=cancel)

    assert children() == []


def test_killed_worker_is_told_from_a_refusal_and_may_try_again(run):
    def kill(done: int) -> None:
        (child,) = children()
        os.kill(child, 9)

    with pytest.raises(Refused) as refused:
        transcode(run, 0, progress=kill)

    assert refused.value.reason == Reason.CRASHED
    assert refused.value.reason.may_pass


def test_killed_template_is_started_anew(run):
    transcode(run, 0)
    old = template()

    os.kill(old, 9)
    with contextlib.suppress(Refused):  # what was asked for just then
        transcode(run, 0)

    assert transcode(run, 0).frames == run.plan.segments[0].frames
    assert template() != old


def test_template_takes_no_module_from_the_folder_it_is_started_in(run, tmp_path, monkeypatch):
    (tmp_path / "services.py").write_text("raise SystemExit('not ours')")
    monkeypatch.chdir(tmp_path)
    forks.stop()

    assert transcode(run, 0).frames == run.plan.segments[0].frames


def test_many_pieces_of_work_end_at_once(run):
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda number: transcode(run, number % 2), range(64)))

    assert [result.frames for result in results] == [run.plan.segments[number % 2].frames for number in range(64)]
    assert children() == []


def test_message_is_sent_though_its_reader_goes_at_once():
    """A child may answer and be gone before its guard has done anything else: once, that was taken for a crash."""
    ours, theirs = socket.socketpair()
    heard = []

    class HastyReader(socket.socket):
        def sendall(self, content):
            super().sendall(content)
            if not heard:
                heard.append(pipe.receive(theirs))
                theirs.close()

    with HastyReader(fileno=ours.detach()) as connection:
        pipe.send(connection, {"task": "prepare"})

    assert heard == [({"task": "prepare"}, b"")]


def test_template_ends_with_us():
    program = """
from services.media.engine import forks
print(forks.template()._process.pid)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    deadline = time.monotonic() + 20
    while (left := Path(f"/proc/{done.stdout.strip()}").exists()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left


def test_fork_has_its_descriptors_and_no_other(run):
    """Neither another piece of work's connection nor the template's."""
    at_work = threading.Barrier(3)
    seen: list[list[str]] = []

    def look_around(done: int) -> None:
        if done == PROGRESS_FRAMES:
            if at_work.wait() == 0:
                seen.extend([os.readlink(link) for link in Path(f"/proc/{each}/fd").iterdir()] for each in children())
            at_work.wait()

    with ThreadPoolExecutor(3) as pool:
        for each in [pool.submit(transcode, run, 1, progress=look_around) for _ in range(3)]:
            each.result()

    sockets = [name for each in seen for name in each if name.startswith("socket:")]
    assert [len(each) for each in seen] == [5, 5, 5]  # nothing to read or write, complaints, the connection, its memory
    assert len(sockets) == len(set(sockets)) == 3


def test_segments_are_the_same_bytes_in_any_order_and_any_number_of_times(run):
    made: list[dict[str, bytes]] = []
    for order in ([0, 1, 2], [2, 0, 1, 1]):
        files: dict[str, bytes] = {}
        for number in order:
            result = transcode(run, number, save=files.__setitem__)
            assert result.frames == run.plan.segments[number].frames
        made.append(files)

    assert made[0] == made[1]
    assert sorted(made[0]) == [
        f"{LOSSLESS.name}/{name}" for name in ("00000.m4s", "00001.m4s", "00002.m4s", "init.mp4")
    ]


def test_whole_way_through_child_processes(tmp_path):
    content = make(RECIPE)
    (tmp_path / "source.mp4").write_bytes(content)
    wanted, files = Wanted((LOSSLESS,)), {}

    told: list[int] = []
    with FileSource(tmp_path / "source.mp4") as source:
        prepared = sandbox.prepare(source=source, wanted=wanted)
        media, plan = prepared.media, prepared.plan
        assert plan is not None
        results = [
            sandbox.transcode_segment(
                source=source, plan=plan, number=each.number, save=files.__setitem__, progress=told.append
            )
            for each in plan.segments
        ]
        tracks = sandbox.transcode_tracks(source=source, media=media, wanted=wanted, save=files.__setitem__)
        sandbox.make_poster(source=source, media=media, save=files.__setitem__)
    with (tmp_path / "made.mp4").open("w+b") as file:
        sandbox.assemble(
            plan=plan,
            output=LOSSLESS.name,
            results=results,
            audio=tracks.audio,
            load=files.__getitem__,
            file=file,
        )

    assert told == [24, 48, 72, 90]
    assert files["poster.jpg"][:2] == b"\xff\xd8"
    made = (tmp_path / "made.mp4").read_bytes()
    assert look(made) == look(content)
    assert made.index(b"moov") < made.index(b"mdat")


def test_missing_segment_is_not_glossed_over(run, tmp_path):
    with (tmp_path / "made.mp4").open("w+b") as file, pytest.raises(ValueError, match=r"\[0, 1, 2\] are missing"):
        sandbox.assemble(plan=run.plan, output=LOSSLESS.name, results=[], audio=[], load=lambda name: b"", file=file)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("720p/init.mp4", True),
        ("captions-0.vtt", True),
        ("/etc/passwd", False),
        ("../other/init.mp4", False),
        ("720p/../../x.mp4", False),
        ("720p/a/b.mp4", False),
        ("720p/.mp4", False),
        ("", False),
        ("720p/init.mp4\n", False),
    ],
)
def test_child_names_only_files_of_its_video(name, is_one):
    assert sandbox.is_file_name(name) == is_one


def test_what_a_child_makes_is_bounded(run):
    with pytest.raises(Refused) as refused:
        transcode(run, 0, confinement=Confinement(saved_bytes=10_000))

    assert refused.value.reason == Reason.TOO_MUCH_MEMORY


def test_plan_survives_being_kept(run):
    assert from_json(type(run.plan), to_json(run.plan)) == run.plan


def test_what_an_earlier_release_kept_has_the_defaults_of_this_one():
    assert from_json(Rendition, {"name": "720p", "short_side": 720}) == Rendition("720p", 720)
    for lacking in ({"name": "720p"}, [], 7, "720p"):
        with pytest.raises((TypeError, KeyError)):
            from_json(Rendition, lacking)


def test_reads_are_little_more_than_the_file():
    content = make(small("large", size=(480, 270), frames=240, options={"preset": "ultrafast", "qp": "8", "g": "30"}))
    run = prepare(content)
    assert len(run.plan.segments) == 4
    for segment in run.plan.segments:
        run.transcode(segment.number)

    fetched = sum(result.fetched_bytes for result in run.results)
    assert len(content) > 10_000_000
    assert 1 <= fetched / len(content) < 1.15
