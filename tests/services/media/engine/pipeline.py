"""The engine's steps one after another, in this process, for tests that look at what comes out."""

import io
from dataclasses import dataclass, field

from services.media.engine.assemble import assemble
from services.media.engine.index import Index, read_index
from services.media.engine.inspection import inspect
from services.media.engine.limits import Limits
from services.media.engine.media import Media
from services.media.engine.plan import Plan, Rendition, Wanted, cut_at, make_plan
from services.media.engine.reader import Reader
from services.media.engine.segment import SegmentResult, transcode_segment
from services.media.engine.tracks import TracksResult, transcode_tracks

LOSSLESS = Rendition("lossless", None, preset="ultrafast", lossless=True)


class Bytes:
    """A source in memory, which counts what is read."""

    def __init__(self, content: bytes) -> None:
        self.content, self.size, self.read, self.requests = content, len(content), 0, 0

    def read_range(self, start: int, length: int) -> bytes:
        """Return the bytes from `start` on."""
        self.read += length
        self.requests += 1
        return self.content[start : start + length]


class Rewritable(io.BytesIO):
    """Bytes that the muxer may open a second time, as it does with a file's name."""

    def again(self, url: str, flags: int, options: object) -> io.BytesIO:
        """Return a reader of what was written."""
        return io.BytesIO(self.getvalue())

    def close(self) -> None:
        """Stay."""


@dataclass
class Run:
    """A video on its way."""

    content: bytes
    media: Media
    plan: Plan
    tracks: TracksResult
    index: Index
    files: dict[str, bytes] = field(default_factory=dict)
    results: list[SegmentResult] = field(default_factory=list)

    def save(self, name: str, content: bytes) -> None:
        """Keep a file; a second time only the same."""
        assert self.files.setdefault(name, content) == content, name

    def transcode(self, number: int) -> SegmentResult:
        """Make one segment."""
        result = transcode_segment(Reader(Bytes(self.content)), self.plan, number, self.save, lambda done: None)
        self.results.append(result)
        return result

    def mp4(self, output: str) -> bytes:
        """Return an output, put together."""
        file = Rewritable()
        assemble(
            plan=self.plan,
            output=output,
            results=self.results,
            audio=self.tracks.audio,
            load=self.files.__getitem__,
            file=file,
            open_again=file.again,
        )
        return file.getvalue()


def prepare(content: bytes, *renditions: Rendition, parallel: int = 2, startup_seconds: float = 0.0) -> Run:
    """Return the video inspected, planned, and with its sound made."""
    limits = Limits()
    wanted = Wanted(renditions or (LOSSLESS,), parallel, startup_seconds)
    media = inspect(Reader(Bytes(content)), limits)
    files: dict[str, bytes] = {}
    tracks = transcode_tracks(
        Reader(Bytes(content)),
        media,
        wanted=wanted,
        limits=limits,
        save=files.__setitem__,
        progress=lambda done: None,
    )
    index = read_index(Reader(Bytes(content)), media, limits) if media.indexed else scan(content, media)
    plan = tracks.plan or make_plan(media, index, wanted)
    return Run(content, media, plan, tracks, index, files)


def scan(content: bytes, media: Media) -> Index:
    """Return the index of a file that has none."""
    from services.media.engine.index import IndexDraft
    from services.media.engine.opening import opened, packets

    draft = IndexDraft(media, Limits())
    with opened(Reader(Bytes(content)), makes_times=media.makes_times) as container:
        for packet in packets(container, container.streams[media.video.stream]):
            draft.add(packet)
    return draft.finish()


def recut(run: Run, cuts: list[int]) -> Run:
    """Return the same video cut at the frames of these numbers."""
    wanted = Wanted(tuple(output.rendition for output in run.plan.outputs))
    return Run(
        run.content, run.media, cut_at(run.media, run.index, wanted, cuts), run.tracks, run.index, dict(run.files)
    )
