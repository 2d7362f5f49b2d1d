"""What runs in the confined child process: one piece of work, then the end. Started by `sandbox`, never by hand.

Libav takes a tenth of a second to load, as long as a second of video takes to make. So it is loaded once, by a template
that sees nothing of any video, and each piece of work gets a fork of that.
"""

import contextlib
import os
import resource
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import av
import av.logging
import av.subtitles.stream  # av imports it when a file has captions, and then no file can be opened any more
import av.subtitles.subtitle

from services.media.engine import pipe
from services.media.engine.assemble import assemble
from services.media.engine.audio import TrackResult
from services.media.engine.confine import Memory, confine
from services.media.engine.limits import Confinement, Limits
from services.media.engine.media import Media
from services.media.engine.plan import Plan, Wanted
from services.media.engine.poster import make_poster
from services.media.engine.preparation import prepare
from services.media.engine.reader import Reader
from services.media.engine.refusal import Reason, Refused
from services.media.engine.segment import SegmentResult, transcode_segment
from services.media.engine.tracks import transcode_tracks
from services.media.engine.wire import Json, from_json, to_json

MOST_DESCRIPTORS = 4


class Guard:
    """The guarding process, from the inside: the only way to read or write anything."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._failure: Exception | None = None

    def ask(self, message: dict[str, Json]) -> bytes:
        """Return the bytes that answer a message.

        What fails once fails ever after: libav asks again, and would be given the rest of the answer before.
        """
        if self._failure is not None:
            raise self._failure
        try:
            pipe.send(self._connection, message)
            return pipe.receive(self._connection)[1]
        except Exception as failure:  # all of them: what was left of an answer must not be taken for the next
            self._failure = failure
            raise

    def save(self, name: str, content: bytes) -> None:
        """Let a file be kept."""
        pipe.send(self._connection, {"save": name}, content)

    def load(self, name: str) -> bytes:
        """Return a file that was kept."""
        return self.ask({"load": name})

    def progress(self, done: int) -> None:
        """Tell how far the work is."""
        pipe.send(self._connection, {"progress": done})


class GuardedSource:
    """A source that the guarding process reads for us."""

    def __init__(self, guard: Guard, size: int) -> None:
        self._guard, self.size = guard, size

    def read_range(self, start: int, length: int) -> bytes:
        """Return the bytes from `start` on."""
        return self._guard.ask({"read": [start, length]})


class SharedFile:
    """A position of its own in a file that was opened before the confinement."""

    def __init__(self, descriptor: int, *, writes: bool) -> None:
        self._descriptor, self._writes, self._position = descriptor, writes, 0

    def readable(self) -> bool:
        """Return whether it is opened for reading."""
        return not self._writes

    def writable(self) -> bool:
        """Return whether it is opened for writing."""
        return self._writes

    def seekable(self) -> bool:
        """Return True."""
        return True

    def read(self, length: int) -> bytes:
        """Return the next bytes."""
        content = os.pread(self._descriptor, length, self._position)
        self._position += len(content)
        return content

    def write(self, content: bytes) -> int:
        """Write all of it."""
        view = memoryview(content)
        while view:
            count = os.pwrite(self._descriptor, view, self._position)
            self._position += count
            view = view[count:]
        return len(content)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move."""
        size = os.fstat(self._descriptor).st_size
        self._position = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: size}[whence] + offset
        return self._position

    def tell(self) -> int:
        """Return where the next read or write begins."""
        return self._position

    def close(self) -> None:
        """Leave the file open: it is the guarding process's."""


def _work(request: dict[str, Any], guard: Guard) -> object:
    tasks: dict[str, Callable[[dict[str, Any], Guard], object]] = {
        "prepare": lambda said, guard: prepare(
            _reader(said, guard), wanted=from_json(Wanted, said["wanted"]), limits=from_json(Limits, said["limits"])
        ),
        "segment": lambda said, guard: transcode_segment(
            _reader(said, guard), from_json(Plan, said["plan"]), said["number"], guard.save, guard.progress
        ),
        "tracks": lambda said, guard: transcode_tracks(
            _reader(said, guard),
            from_json(Media, said["media"]),
            wanted=from_json(Wanted, said["wanted"]),
            limits=from_json(Limits, said["limits"]),
            save=guard.save,
            progress=guard.progress,
        ),
        "poster": lambda said, guard: guard.save(
            "poster.jpg", make_poster(_reader(said, guard), from_json(Media, said["media"]))
        ),
        "assemble": _assemble,
    }
    return tasks[request["task"]](request, guard)


def _reader(request: dict[str, Any], guard: Guard) -> Reader:
    return Reader(GuardedSource(guard, request["size"]))


def _assemble(request: dict[str, Any], guard: Guard) -> None:
    assemble(
        plan=from_json(Plan, request["plan"]),
        output=request["output"],
        results=[from_json(SegmentResult, each) for each in request["results"]],
        audio=[from_json(TrackResult, each) for each in request["audio"]],
        load=guard.load,
        file=SharedFile(request["file"], writes=True),
        open_again=lambda url, flags, options: SharedFile(request["file"], writes=False),
    )


def work(connection: socket.socket, file: int | None) -> None:
    """Do what the guarding process asks for, and answer it."""
    guard = Guard(connection)
    request, _ = pipe.receive(connection)
    request["file"] = file
    memory, confinement = Memory(), from_json(Confinement, request["confinement"])
    confine(confinement, writes_file=file is not None)
    answer: dict[str, Json]
    try:
        answer = {"done": to_json(_work(request, guard))}
    except Refused as refused:
        answer = {"refused": refused.reason.value, "detail": refused.detail}
    except MemoryError as error:
        answer = {"refused": Reason.TOO_MUCH_MEMORY.value, "detail": str(error)}
    except av.FFmpegError as error:
        answer = {"refused": Reason.DAMAGED.value, "detail": str(error)}
    except pipe.Closed:
        return
    if memory.was_short(confinement.memory_mb):
        answer = {"refused": Reason.TOO_MUCH_MEMORY.value, "detail": f"{confinement.memory_mb} MB"}
    pipe.send(connection, answer)


def fork(connection: int, complaints: int, file: int | None = None) -> int:
    """Start a piece of work in a process that has these descriptors and no other; return its number."""
    number = os.fork()
    if number:
        return number
    code = 1
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(complaints, sys.stderr.fileno())
        kept = sorted({0, 1, 2, connection} | ({file} if file is not None else set()))
        for one, next_one in pairwise([*kept, resource.getrlimit(resource.RLIMIT_NOFILE)[0]]):
            os.closerange(one + 1, next_one)
        work(socket.socket(fileno=connection), file)
        code = 0
    except BaseException:  # noqa: BLE001 - a fork must never go on as if it were the template
        traceback.print_exc()
    finally:
        os._exit(code)


def template(control: socket.socket) -> None:
    """Fork for `forks` until it is gone.

    A message is a number; with descriptors to begin a piece of work under it, without to kill that. How it ended is
    written to the last of the descriptors.
    """
    av.logging.set_level(av.logging.ERROR)
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # all is done below, one after another
    running: dict[int, tuple[int, int]] = {}
    while True:
        ready, _, _ = select.select([control.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _tell_of_the_ended(running)
        if control.fileno() in ready:
            content, descriptors, _, _ = socket.recv_fds(control, pipe.ORDER_BYTES, MOST_DESCRIPTORS)
            if not content:
                return
            name = int(content)
            if descriptors:
                *given, told = descriptors
                running[name] = fork(*given), told
                for descriptor in given:
                    os.close(descriptor)
            elif name in running:
                os.kill(running[name][0], signal.SIGKILL)


def _tell_of_the_ended(running: dict[int, tuple[int, int]]) -> None:
    for name, (process, told) in list(running.items()):
        number, status = os.waitpid(process, os.WNOHANG)
        if number:
            del running[name]
            with contextlib.suppress(OSError):  # nobody wants to know any more
                os.write(told, str(os.waitstatus_to_exitcode(status)).encode())
            os.close(told)


if __name__ == "__main__":
    template(socket.socket(fileno=int(sys.argv[1])))
