"""One pass over the whole file for all that isn't picture: sound, captions, and the index where the file has none."""

import resource
import time
from dataclasses import dataclass

from av.audio.stream import AudioStream

from services.media.engine.audio import TrackEncoder, TrackResult, fragmented
from services.media.engine.captions import CaptionDraft, CaptionResult
from services.media.engine.index import IndexDraft
from services.media.engine.limits import Limits
from services.media.engine.media import Media
from services.media.engine.opening import fraction, opened, packets, read_only, sounds
from services.media.engine.plan import Plan, Wanted, make_plan
from services.media.engine.reader import Reader
from services.media.engine.segment import Progress, Save

PROGRESS_SECONDS = 5


@dataclass(frozen=True)
class TracksResult:
    """What the pass made; `plan` only where the file's header doesn't list its frames."""

    audio: tuple[TrackResult, ...]
    captions: tuple[CaptionResult, ...]
    plan: Plan | None
    damaged_packets: int
    fetched_bytes: int
    requests: int
    cpu_seconds: float
    wall_seconds: float
    memory_mb: int


def transcode_tracks(
    reader: Reader, media: Media, *, wanted: Wanted, limits: Limits, save: Save, progress: Progress
) -> TracksResult:
    """Make every sound track whole, every caption track that is text, and the plan if it isn't made yet.

    Progress counts seconds of the video.

    Raises:
        Refused: the pictures are too many or too long, or there are none.
    """
    started, cpu = time.monotonic(), time.process_time()
    encoders = {audio.stream: TrackEncoder(media, audio) for audio in media.audio}
    texts = {caption.stream: CaptionDraft(media, caption) for caption in media.captions if caption.is_text}
    draft = None if media.indexed else IndexDraft(media, limits)
    damaged = (
        _read_through(reader, media, encoders=encoders, texts=texts, draft=draft, progress=progress)
        if encoders or texts or draft
        else 0
    )
    plan = make_plan(media, draft.finish(), wanted) if draft else None
    return TracksResult(
        audio=tuple(_save_sounds(encoders, media, save)),
        captions=tuple(_save_captions(texts, save)),
        plan=plan,
        damaged_packets=damaged,
        fetched_bytes=reader.fetched_bytes,
        requests=reader.requests,
        cpu_seconds=time.process_time() - cpu,
        wall_seconds=time.monotonic() - started,
        memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    )


def _read_through(
    reader: Reader,
    media: Media,
    *,
    encoders: dict[int, TrackEncoder],
    texts: dict[int, CaptionDraft],
    draft: IndexDraft | None,
    progress: Progress,
) -> int:
    """Return how many packets of sound couldn't be decoded; they become silence when the next one comes."""
    damaged, told = 0, 0
    with opened(reader, makes_times=media.makes_times, probes=not media.indexed) as container:
        indexes = {*encoders, *texts, *([media.video.stream] if draft else [])}
        streams = [container.streams[index] for index in sorted(indexes)]
        read_only(container, *streams)
        for packet in packets(container, *streams):
            stream = packet.stream
            if isinstance(stream, AudioStream):
                frames = sounds(stream, packet)
                damaged += frames is None
                for frame in frames or ():
                    encoders[stream.index].feed(frame)
            elif stream.index in texts:
                texts[stream.index].add(packet)
            elif draft:
                draft.add(packet)
            now = int((packet.pts or 0) * fraction(packet.time_base) - media.start)
            if now >= told + PROGRESS_SECONDS:
                told = now
                progress(told)
        for stream in streams:
            if isinstance(stream, AudioStream):
                for frame in sounds(stream, None) or ():
                    encoders[stream.index].feed(frame)
    return damaged


def _save_sounds(encoders: dict[int, TrackEncoder], media: Media, save: Save) -> list[TrackResult]:
    made = []
    for number, audio in enumerate(media.audio):
        encoder = encoders[audio.stream]
        whole = encoder.finish()
        if not whole:
            continue
        name = f"audio-{number}"
        written = fragmented(whole, encoder.samples)
        save(f"{name}/init.mp4", written.init)
        save(f"{name}/media.m4s", written.media)
        save(f"{name}/whole.m4a", whole)
        made.append(
            TrackResult(
                name=name,
                stream=audio.stream,
                language=audio.language,
                title=audio.title,
                codec=written.codec,
                rate=encoder.rate,
                samples=encoder.samples,
                lead=encoder.lead,
                bytes=len(whole),
                fragments=written.fragments,
            )
        )
    return made


def _save_captions(texts: dict[int, CaptionDraft], save: Save) -> list[CaptionResult]:
    made = []
    for number, draft in enumerate(texts.values()):
        text, cues = draft.finish()
        if not cues:
            continue
        name = f"captions-{number}.vtt"
        save(name, text.encode())
        made.append(CaptionResult(name, draft.caption.stream, draft.caption.language, draft.caption.title, cues))
    return made
