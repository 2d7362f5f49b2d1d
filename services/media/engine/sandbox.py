"""The engine's door: each function does one piece of work in a child process that can do nothing else.

The child is a fork of a template, which has loaded the engine and seen no video. It has no environment, no open file
but the pipe to us, and limits on memory, processor time and descriptors. It reads the source and writes its results
only by asking us, so its decoders need neither the network nor credentials.
What a source or a `save` raises here comes out of the function as it is, and the child is ended.
"""

import contextlib
import os
import re
import signal
import socket
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from types import NoneType
from typing import IO

from services.media.engine import pipe
from services.media.engine.assemble import Load, in_order
from services.media.engine.audio import TrackResult
from services.media.engine.forks import fork
from services.media.engine.limits import QUICK, USUAL, USUAL_LIMITS, Confinement, Limits
from services.media.engine.media import Media
from services.media.engine.plan import Plan, Wanted
from services.media.engine.preparation import Prepared
from services.media.engine.reader import Source
from services.media.engine.refusal import Reason, Refused
from services.media.engine.segment import Progress, Save, SegmentResult
from services.media.engine.tracks import TracksResult
from services.media.engine.wire import Json, from_json, to_json

_KEPT_COMPLAINT = 2000


def _nothing(done: int) -> None:
    """Ignore progress."""


def prepare(
    *, source: Source, wanted: Wanted, limits: Limits = USUAL_LIMITS, confinement: Confinement = QUICK
) -> Prepared:
    """Return what the video is, and where to cut it if its header lists all frames: half a percent of an MP4.

    Raises:
        Refused: it isn't one, or not one that we can take; its reason says why.
    """
    request = {"task": "prepare", "wanted": to_json(wanted), "limits": to_json(limits)}
    return _Child(confinement, source=source).run(request, Prepared)


def transcode_segment(
    *,
    source: Source,
    plan: Plan,
    number: int,
    save: Save,
    progress: Progress = _nothing,
    confinement: Confinement = USUAL,
) -> SegmentResult:
    """Make all outputs of one segment: `<output>/init.mp4` and `<output>/<number>.m4s`, the same bytes every time.

    The bytes are the same since each piece of work begins with the same memory, a fork's: libx264's AVX-512 code looks
    at some that nobody wrote, where a picture isn't a multiple of 256 wide.

    Args:
        save: keeps a file by its name. Called for the last files just before the work ends.
        progress: is told the frames that are done; may raise, which ends the work.

    Raises:
        Refused: INEXACT when the video must be planned `unsplit`; DAMAGED; or the child broke a limit.
    """
    others = (replace(each, steps=()) if each.number != number else each for each in plan.segments)
    plan = replace(plan, segments=tuple(others))  # an hour's frame times are long, and nobody looks at them
    request = {"task": "segment", "plan": to_json(plan), "number": number, "limits": to_json(USUAL_LIMITS)}
    return _Child(confinement, source=source, save=save, progress=progress).run(request, SegmentResult)


def transcode_tracks(
    *,
    source: Source,
    media: Media,
    wanted: Wanted,
    save: Save,
    progress: Progress = _nothing,
    limits: Limits = USUAL_LIMITS,
    confinement: Confinement = USUAL,
) -> TracksResult:
    """Make every sound track (`audio-<n>/init.mp4`, `media.m4s`, `whole.m4a`) and text track (`captions-<n>.vtt`).

    In the same pass, where the file has no index, the plan.

    Args:
        save: keeps a file by its name.
        progress: is told the seconds of the video that are done; may raise, which ends the work.

    Raises:
        Refused: there are no pictures, too many, or too long; or the child broke a limit.
    """
    request = {"task": "tracks", "media": to_json(media), "wanted": to_json(wanted), "limits": to_json(limits)}
    return _Child(confinement, source=source, save=save, progress=progress).run(request, TracksResult)


def make_poster(*, source: Source, media: Media, save: Save, confinement: Confinement = QUICK) -> None:
    """Save `poster.jpg`: upright, at most 720 high or wide, from around a tenth of the video.

    Raises:
        Refused: no picture can be decoded.
    """
    request = {"task": "poster", "media": to_json(media), "limits": to_json(USUAL_LIMITS)}
    _Child(confinement, source=source, save=save).run(request, NoneType)


def assemble(
    *,
    plan: Plan,
    output: str,
    results: Sequence[SegmentResult],
    audio: Sequence[TrackResult],
    load: Load,
    file: IO[bytes],
    confinement: Confinement = USUAL,
) -> None:
    """Write one output, with all sound tracks, as an MP4 with its index in front into an empty file on this machine.

    Args:
        load: returns a file that was saved, by its name.

    Raises:
        ValueError: a segment is missing.
        Refused: the segments don't fit together, or the child broke a limit.
    """
    request: dict[str, Json] = {
        "task": "assemble",
        "plan": to_json(plan),
        "output": output,
        "results": to_json(list(results)),
        "audio": to_json(list(audio)),
        "limits": to_json(USUAL_LIMITS),
    }
    in_order(plan, results)
    _Child(confinement, load=load, file=file).run(request, NoneType)


class _Child:
    """A child process and what it may ask of us."""

    def __init__(
        self,
        confinement: Confinement,
        *,
        source: Source | None = None,
        save: Save | None = None,
        load: Load | None = None,
        progress: Progress = _nothing,
        file: IO[bytes] | None = None,
    ) -> None:
        self._confinement = confinement
        self._source, self._save, self._load, self._progress, self._file = source, save, load, progress, file
        self._read = self._saved = 0
        size = source.size if source else 0
        self._most = 2 * size + (16 << 20) if confinement.read_bytes is None else confinement.read_bytes

    def run[T](self, request: dict[str, Json], kind: type[T]) -> T:
        """Return what the child made of the request.

        Raises:
            Refused: the child refused, broke a limit, or died.
        """
        request["confinement"] = to_json(self._confinement)
        request["size"] = self._source.size if self._source else 0
        ours, theirs = socket.socketpair()
        with ours, tempfile.TemporaryFile() as complaints:
            with theirs:
                child = fork(theirs, complaints, *([self._file] if self._file else []))
            try:
                answer = self._serve(ours, request)
            except pipe.Nonsense as nonsense:
                raise Refused(Reason.CRASHED, str(nonsense)) from nonsense
            except (pipe.Closed, BrokenPipeError, ConnectionResetError) as gone:
                raise self._why_it_died(child.wait(), complaints) from gone
            finally:
                child.end()
        try:
            return from_json(kind, answer)
        except (TypeError, ValueError, KeyError) as nonsense:
            raise Refused(Reason.CRASHED, str(nonsense)) from nonsense

    def _serve(self, connection: socket.socket, request: dict[str, Json]) -> Json:
        deadline = time.monotonic() + self._confinement.wall_seconds
        pipe.send(connection, request)
        while True:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                message, content = pipe.receive(connection)
            except TimeoutError as late:
                raise Refused(Reason.TOOK_TOO_LONG, f"{self._confinement.wall_seconds:.0f} s") from late
            match message:
                case {"read": [int(start), int(length)]} if self._source:
                    self._answer(connection, self._range(self._source, start, length))
                case {"save": str(name)} if self._save and is_file_name(name):
                    self._save(name, self._bounded(content))
                case {"load": str(name)} if self._load and is_file_name(name):
                    self._answer(connection, self._load(name))
                case {"progress": int(done)}:
                    self._progress(done)
                case {"done": answer}:
                    return answer
                case {"refused": str(reason), "detail": str(detail)}:
                    raise Refused(Reason(reason), detail)
                case _:
                    raise Refused(Reason.CRASHED, "the child said what nobody asked for")

    def _range(self, source: Source, start: int, length: int) -> bytes:
        """Return the range, once more within bounds that the child can't move."""
        self._read += length
        if start < 0 or length < 0 or start + length > source.size or self._read > self._most:
            raise Refused(Reason.TOO_MANY_READS, f"more than {self._most} bytes of {source.size}")
        return source.read_range(start, length)

    @staticmethod
    def _answer(connection: socket.socket, content: bytes) -> None:
        # A child that gave up while it was waiting has said why, before it went: that is read next.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            pipe.send(connection, {}, content)

    def _bounded(self, content: bytes) -> bytes:
        self._saved += len(content)
        if self._saved > self._confinement.saved_bytes:
            raise Refused(Reason.TOO_MUCH_MEMORY, f"more than {self._confinement.saved_bytes} bytes made")
        return content

    def _why_it_died(self, code: int | None, complaints: IO[bytes]) -> Refused:
        complaints.seek(max(0, complaints.seek(0, os.SEEK_END) - _KEPT_COMPLAINT))
        said = complaints.read().decode(errors="replace").strip()
        if code == -signal.SIGXCPU:
            return Refused(Reason.TOOK_TOO_LONG, f"{self._confinement.cpu_seconds} s of processor time")
        if code == -signal.SIGABRT or "MemoryError" in said or "bad_alloc" in said:
            return Refused(Reason.TOO_MUCH_MEMORY, f"{self._confinement.memory_mb} MB")
        return Refused(Reason.CRASHED, f"exit {code}: {said.splitlines()[-1] if said else ''}")


def is_file_name(name: str) -> bool:
    """Return whether it may name a file of a video: in a folder of its own at most, and never above."""
    return re.fullmatch(r"[a-zA-Z0-9_-]+(/[a-zA-Z0-9_-]+)?\.[a-z0-9]+", name) is not None
