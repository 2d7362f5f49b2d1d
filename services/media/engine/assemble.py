"""Puts the made pieces together into one MP4 that plays while it loads: packets are copied, nothing is encoded."""

import heapq
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from math import lcm
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from services.media.engine.audio import TrackResult
from services.media.engine.fragment import REORDERED_FRAMES, packet_time
from services.media.engine.opening import UNPROBED, fraction
from services.media.engine.plan import Plan
from services.media.engine.segment import SegmentResult, init_name, segment_name

type Load = Callable[[str], bytes]
type OpenAgain = Callable[[str, int, Any], Any]
type Timed = "tuple[int, int, Packet[Any]]"
"""A packet's decoding time on the clock that all tracks share, its track's number, and itself."""


def assemble(
    *,
    plan: Plan,
    output: str,
    results: Sequence[SegmentResult],
    audio: Sequence[TrackResult],
    load: Load,
    file: object,
    open_again: OpenAgain,
) -> None:
    """Write an output's segments and all sound tracks into one file, its index in front.

    Args:
        load: returns a file's bytes by its name.
        file: what is written, seekable.
        open_again: opens it for reading too, when the index moves to its front.

    Raises:
        ValueError: a segment is missing, or was made with other settings than the rest.
    """
    done = in_order(plan, results)
    init = load(init_name(output))
    options = {"movflags": "faststart", "video_track_timescale": str(plan.timescale)}
    with ExitStack() as files:
        sounds = [_opened(files, load(f"{track.name}/whole.m4a")) for track in audio]
        first = _opened(files, init + load(segment_name(output, 0)))
        target = files.enter_context(av.open(file, "w", format="mp4", options=options, io_open=open_again))
        stream = target.add_stream_from_template(first.streams.video[0])
        stream.time_base = Fraction(1, plan.timescale)
        clock = lcm(plan.timescale, *(_unit(sound).denominator for sound in sounds))
        tracks = [_pictures(plan, output, init, done=done, load=load, stream=stream, clock=clock)]
        for number, sound in enumerate(sounds, 1):
            copied = target.add_stream_from_template(sound.streams.audio[0])
            tracks.append(_sound(number, sound, copied, clock=clock))
        for _, _, packet in heapq.merge(*tracks, key=lambda each: each[:2]):
            target.mux_one(packet)


def in_order(plan: Plan, results: Sequence[SegmentResult]) -> dict[int, SegmentResult]:
    """Return the results by the number of their segment.

    Raises:
        ValueError: one is missing.
    """
    done = {result.number: result for result in results}
    if missing := [segment.number for segment in plan.segments if segment.number not in done]:
        raise ValueError(f"segments {missing} are missing")
    return done


def _opened(files: ExitStack, content: bytes) -> InputContainer:
    return files.enter_context(av.open(io.BytesIO(content), "r", format="mp4"))


def _pictures(
    plan: Plan, output: str, init: bytes, *, done: dict[int, SegmentResult], load: Load, stream: VideoStream, clock: int
) -> Iterator[Timed]:
    """Yield all packets at their times; decoding times run on over the seams, so that none comes twice."""
    unit, beats = Fraction(1, plan.timescale), clock // plan.timescale
    waiting: list[int] = []
    end = plan.ticks(plan.segments[0].start)
    for made in (each for segment in plan.segments for each in done[segment.number].made if each.output == output):
        start, end = end, end + sum(fragment.ticks for fragment in made.fragments)
        with av.open(io.BytesIO(init + load(made.name)), "r", format="mp4", options=UNPROBED) as source:
            found = [packet for packet in source.demux(source.streams.video[0]) if packet.size]
        # The demuxer moves all times of a file with signed offsets by the same amount.
        order = [packet_time(packet) - packet_time(found[0]) + start for packet in found]
        shown = sorted(order)
        until = dict(zip(shown, [*shown[1:], end], strict=True))
        if not waiting:
            step = until[shown[0]] - shown[0]
            waiting = [shown[0] - (REORDERED_FRAMES - k) * step for k in range(REORDERED_FRAMES)]
        due = [*waiting, *shown]
        waiting = due[len(order) :]
        for packet, time, dts in zip(found, order, due, strict=False):
            packet.pts, packet.dts, packet.duration = time, dts, until[time] - time
            packet.stream, packet.time_base = stream, unit
            yield dts * beats, 0, packet


def _unit(sound: InputContainer) -> Fraction:
    return fraction(sound.streams.audio[0].time_base)


def _sound(number: int, sound: InputContainer, stream: AudioStream, *, clock: int) -> Iterator[Timed]:
    track, beats = sound.streams.audio[0], int(_unit(sound) * clock)
    for packet in sound.demux(track):
        if packet.size and packet.dts is not None:
            packet.stream = stream
            yield packet.dts * beats, number, packet
