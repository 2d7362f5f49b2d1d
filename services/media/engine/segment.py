"""One worker's piece: decode it from the original, check it against the plan, encode it."""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass

from av.video.frame import VideoFrame

from services.media.engine.fragment import Encoder, Fragment
from services.media.engine.picture import Pictures
from services.media.engine.piece import Misfit, Piece, starts
from services.media.engine.plan import Plan
from services.media.engine.reader import Reader
from services.media.engine.refusal import Reason, Refused

type Save = Callable[[str, bytes], None]
type Progress = Callable[[int], None]

PROGRESS_FRAMES = 24
UNSPLIT_FILE_SECONDS = 60


@dataclass(frozen=True)
class Made:
    """One output's file of a segment; `bytes` without the header. Only of an unsplit video there are several."""

    output: str
    name: str
    bytes: int
    codec: str
    fragments: tuple[Fragment, ...]


@dataclass(frozen=True)
class SegmentResult:
    """What a worker made, and what it took."""

    number: int
    frames: int
    repeated: tuple[int, ...]
    """Source times at which damage left no frame, and the one before was shown again."""
    made: tuple[Made, ...]
    attempts: int
    fetched_bytes: int
    requests: int
    cpu_seconds: float
    wall_seconds: float
    memory_mb: int
    """Most resident memory of the worker."""


def init_name(output: str) -> str:
    """Return the name of an output's header, the same for all its segments."""
    return f"{output}/init.mp4"


def segment_name(output: str, number: int) -> str:
    """Return the name of an output's file of one segment."""
    return f"{output}/{number:05}.m4s"


def transcode_segment(reader: Reader, plan: Plan, number: int, save: Save, progress: Progress) -> SegmentResult:
    """Make all outputs of one segment: decoded once, the same frames every time; in a fork, the same bytes.

    Damage: a frame that can't be decoded is replaced by the one before it (or the first one after it), so that sound
    and pictures stay together; more than half of a segment isn't.

    Raises:
        Refused: INEXACT when the frames aren't those of the plan, DAMAGED when too many can't be decoded.
    """
    started, cpu = time.monotonic(), time.process_time()
    segment = plan.segments[number]
    reader.useful_until = segment.reads_until
    why = ""
    tried = list(starts(plan, segment))
    for attempt, start in enumerate(tried, 1):
        files = _Files(plan, number, save)
        piece = Piece(reader, plan, segment, start, is_last=attempt == len(tried))
        frames = 0
        try:
            for frame, when in piece.frames():
                files.encode(frame, plan.ticks(when))
                frames += 1
                if frames % PROGRESS_FRAMES == 0:
                    progress(frames)
        except Misfit as misfit:
            why = str(misfit)
            continue
        files.finish(plan.ticks(piece.end), is_last=number + 1 == len(plan.segments))
        progress(frames)
        return SegmentResult(
            number=number,
            frames=frames,
            repeated=tuple(piece.repeated),
            made=tuple(files.made),
            attempts=attempt,
            fetched_bytes=reader.fetched_bytes,
            requests=reader.requests,
            cpu_seconds=time.process_time() - cpu,
            wall_seconds=time.monotonic() - started,
            memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        )
    raise Refused(Reason.INEXACT, why)


class _Files:
    """The files of a segment: one of each output, but of a video that runs unsplit one for every few minutes."""

    def __init__(self, plan: Plan, number: int, save: Save) -> None:
        self._plan, self._number, self._save = plan, number, save
        self._pictures = Pictures(plan.media.video, plan.outputs)
        self._encoders: list[Encoder] = []
        self._start = 0
        self.made: list[Made] = []

    def encode(self, frame: VideoFrame, ticks: int) -> None:
        """Encode a frame for all outputs."""
        is_long = ticks - self._start >= UNSPLIT_FILE_SECONDS * self._plan.timescale
        if self._encoders and is_long and not self._plan.is_exact:
            self.finish(ticks, is_last=False)
        if not self._encoders:
            is_first = self._number == 0
            self._encoders = [Encoder(self._plan, output, is_first=is_first) for output in self._plan.outputs]
            self._start = ticks
        for encoder, picture in zip(self._encoders, self._pictures(frame), strict=True):
            encoder.encode(picture, ticks)

    def finish(self, end: int, *, is_last: bool) -> None:
        """Save what there is, shown until then."""
        for encoder, output in zip(self._encoders, self._plan.outputs, strict=True):
            written = encoder.finish(end, is_last=is_last)
            name = segment_name(output.name, self._number)
            self._save(init_name(output.name), written.init)
            self._save(name, written.media)
            self.made.append(Made(output.name, name, len(written.media), written.codec, written.fragments))
        self._encoders = []
        self._number += 1
