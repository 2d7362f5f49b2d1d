"""Looks at what was sent: what it is, and whether we can take it."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from services.media.engine.limits import Limits
from services.media.engine.media import Audio, Caption, Color, Media, Video
from services.media.engine.opening import (
    AUDIO_CODECS,
    TEXT_CODECS,
    VIDEO_CODECS,
    decoded,
    fraction,
    opened,
    packets,
    read_only,
    shown_picture,
    sounds,
)
from services.media.engine.reader import Reader
from services.media.engine.refusal import Reason, Refused

TIMELESS = frozenset({"avi", "mpeg"})
_TRIED_UNTIL_A_FRAME = 600
_BOXES_LOOKED_AT = 64
_LONGEST_NAME = 120
"""Characters of a track's title; a file may have megabytes of it."""
_DOLBY_COMPATIBILITY = 7  # AVDOVIDecoderConfigurationRecord.dv_bl_signal_compatibility_id


def inspect(reader: Reader, limits: Limits) -> Media:
    """Return what the video is.

    Raises:
        Refused: it isn't one, or not one that we can take; its reason says why.
    """
    if not reader.size:
        raise Refused(Reason.EMPTY)
    if reader.size > limits.bytes:
        raise Refused(Reason.TOO_LARGE, f"{reader.size} bytes, at most {limits.bytes}")
    try:
        return _inspect(reader, limits)
    except (av.error.InvalidDataError, av.error.ArgumentError, av.error.PermissionError, av.error.EOFError) as error:
        raise Refused(*_unreadable(reader, error)) from error


def _unreadable(reader: Reader, error: av.FFmpegError) -> tuple[Reason, str]:
    """Return whether it is no video at all, or an MP4 with a bad index, or without one: it often lies at the end."""
    boxes: list[bytes] = []
    start = 0
    while start + 16 <= reader.size and len(boxes) < _BOXES_LOOKED_AT:
        reader.seek(start)
        head = reader.read(8) + reader.read(8)
        size = int.from_bytes(head[:4])
        boxes.append(head[4:8])
        start += max(8, int.from_bytes(head[8:16]) if size == 1 else size)
    if boxes[:1] != [b"ftyp"]:
        return Reason.NOT_VIDEO, str(error.strerror)
    return (Reason.DAMAGED, "its index") if b"moov" in boxes else (Reason.TRUNCATED, "no index")


def _inspect(reader: Reader, limits: Limits) -> Media:
    with opened(reader, probes=False) as container:
        container_name = container.format.name
    indexed, makes_times = "mp4" in container_name, container_name in TIMELESS
    with opened(reader, makes_times=makes_times) as container:
        _check_header(container, limits)
        audio = [stream.index for stream in container.streams.audio if stream.codec_context.name in AUDIO_CODECS]
        captions = tuple(
            Caption(
                stream=stream.index,
                codec=stream.codec_context.name,
                language=language(stream),
                title=title(stream),
                is_text=stream.codec_context.name in TEXT_CODECS,
            )
            for stream in container.streams.subtitles
        )
        duration = Fraction(container.duration or 0, 1_000_000)
        video = _video(container, limits)
    return Media(
        container=container_name,
        size=reader.size,
        duration=max(duration, Fraction(0)),
        indexed=indexed,
        makes_times=makes_times,
        video=video,
        audio=tuple(
            track for each in audio if (track := _audio(reader, each, makes_times=makes_times, probes=not indexed))
        ),
        captions=captions,
    )


def _check_header(container: InputContainer, limits: Limits) -> None:
    if len(container.streams) > limits.streams:
        raise Refused(Reason.TOO_MANY_STREAMS, f"{len(container.streams)}, at most {limits.streams}")
    picture = shown_picture(container)
    context = picture.codec_context
    if picture.codec_tag in {"encv", "drmi"} or "encryption_init_info" in context.coded_side_data:
        raise Refused(Reason.ENCRYPTED)
    dolby = context.coded_side_data.get("dovi_conf", b"")
    if dolby and dolby[_DOLBY_COMPATIBILITY] == 0:
        raise Refused(Reason.HDR, "Dolby Vision whose base layer can't be shown by itself")
    if context.name not in VIDEO_CODECS:
        raise Refused(Reason.UNSUPPORTED_CODEC, context.name)
    check_size(context.width, context.height, limits)
    seconds = (container.duration or 0) // 1_000_000
    if seconds > limits.seconds:
        raise Refused(Reason.TOO_LONG, f"{seconds} s, at most {limits.seconds}")
    if fraction(picture.average_rate) > limits.frames_per_second:
        raise Refused(Reason.FRAME_RATE, f"{float(picture.average_rate):.0f} a second")


def check_size(width: int, height: int, limits: Limits) -> None:
    """Refuse frames of too many pixels; before they are decoded, since memory is taken then.

    Raises:
        Refused: there are.
    """
    if width * height > limits.pixels:
        raise Refused(Reason.TOO_MANY_PIXELS, f"{width}x{height}")


def _video(container: InputContainer, limits: Limits) -> Video:
    stream = shown_picture(container)
    read_only(container, stream)
    stream.codec_context.options = {"max_pixels": str(limits.pixels)}
    frame = _first_frame(container, stream)
    check_size(frame.width, frame.height, limits)
    if frame.pts is None:
        raise Refused(Reason.NO_FRAMES, "no times")
    color = Color(
        matrix=int(frame.colorspace),
        range=int(frame.color_range),
        transfer=int(frame.color_trc),
        primaries=int(frame.color_primaries),
    )
    rate = fraction(stream.average_rate) or fraction(stream.guessed_rate) or Fraction(25)
    return Video(
        stream=stream.index,
        codec=stream.codec_context.name,
        width=frame.width,
        height=frame.height,
        pixel_format=frame.format.name,
        rotation=round(frame.rotation / 90) * 90 % 360,
        pixel_aspect=fraction(stream.sample_aspect_ratio) or Fraction(1),
        time_base=fraction(stream.time_base),
        rate=min(rate, Fraction(limits.frames_per_second)),
        start=frame.pts,
        color=color,
        interlaced=frame.interlaced_frame,
    )


def _first_frame(container: InputContainer, stream: VideoStream) -> VideoFrame:
    found = _unencrypted(packets(container, stream))
    for frame in islice(decoded(found, stream), _TRIED_UNTIL_A_FRAME):
        if frame is not None:
            return frame
    raise Refused(Reason.NO_FRAMES)


def _unencrypted(found: "Iterator[Packet[Stream]]") -> "Iterator[Packet[Stream]]":
    for packet in found:
        if packet.has_sidedata("encryption_info"):
            raise Refused(Reason.ENCRYPTED)
        yield packet


def _audio(reader: Reader, index: int, *, makes_times: bool, probes: bool) -> Audio | None:
    """Return the track; None when nothing can be heard. Opened afresh: seeking to 0 lands on the first key picture."""
    with opened(reader, makes_times=makes_times, probes=probes) as container:
        stream = container.streams[index]
        if not isinstance(stream, AudioStream):
            return None
        read_only(container, stream)
        for packet in packets(container, stream):
            for frame in sounds(stream, packet) or ():
                if frame.pts is None:
                    continue
                return Audio(
                    stream=index,
                    codec=stream.codec_context.name,
                    rate=stream.codec_context.sample_rate,
                    channels=stream.codec_context.channels,
                    start=frame.pts * fraction(frame.time_base),
                    language=language(stream),
                    title=title(stream),
                )
    return None


def language(stream: Stream) -> str:
    """Return the stream's language as the file says it; empty for none."""
    return "" if stream.language in {None, "und"} else _readable(str(stream.language))


def title(stream: Stream) -> str:
    """Return the stream's title as the file says it; empty for none."""
    return _readable(str(stream.metadata.get("title", "")))


def _readable(said: str) -> str:
    """Return a file's own words as text that can be kept: older files have other bytes there than UTF-8."""
    return said.encode(errors="surrogateescape").decode(errors="replace").replace("\0", "")[:_LONGEST_NAME]
