"""Opens what strangers sent, so that libav can reach nothing but the reader's own bytes."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain
from typing import NoReturn

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.rational import AVRational
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from services.media.engine.reader import BLOCK, Reader
from services.media.engine.refusal import Reason, Refused

FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,avi"
"""Containers that hold their media themselves. Playlists, SDP and concat scripts name other files and hosts."""

_VIDEO = "h264 hevc vp8 vp9 av1 libdav1d mpeg4 mpeg2video mpeg1video mjpeg prores dnxhd h263 ffv1"
_AUDIO = "aac aac_latm ac3 eac3 mp1 mp1float mp2 mp2float mp3 mp3float opus libopus vorbis flac alac amrnb amrwb"
_PCM = "alaw mulaw u8 s8 s16le s16be s24le s24be s32le s32be f32le f32be f64le f64be"
_TEXT = "mov_text subrip srt ass ssa webvtt text"

VIDEO_CODECS = frozenset(_VIDEO.split())
AUDIO_CODECS = frozenset([*_AUDIO.split(), *(f"pcm_{each}" for each in _PCM.split())])
TEXT_CODECS = frozenset(_TEXT.split())

_PROBED_STREAMS = 1000
UNPROBED = {"probesize": "32", "skip_frame": "all"}
"""Options with which no frame is decoded while a file is opened; the small size alone lets the first one be."""


def _refuse_to_open(url: str, flags: int, options: object) -> NoReturn:
    raise PermissionError(f"refused to open {url!r}")


@contextmanager
def opened(
    reader: Reader, *, makes_times: bool = False, parses: bool = True, probes: bool = True
) -> Iterator[InputContainer]:
    """Open the reader's bytes as media.

    The format whitelist keeps playlists from being recognised at all, the protocol whitelist keeps what is recognised
    from opening a file or host, and `io_open` refuses what would ask Python. Custom IO alone guards nothing: an SDP
    text waits for RTP, and a concat script opens files, without ever asking it.

    Args:
        makes_times: let libav count frame times where the container has none.
        parses: look into the frames; must be False for a blank reader, whose zeros would clear the key flags.
        probes: decode the first frames to learn what the header doesn't say. Megabytes, when the work is elsewhere.
    """
    flags = ("+genpts" if makes_times else "") + ("" if parses else "+noparse")
    options = {
        "format_whitelist": FORMATS,
        "protocol_whitelist": "none",
        "codec_whitelist": ",".join(sorted(VIDEO_CODECS | AUDIO_CODECS | TEXT_CODECS)),
        "max_streams": str(_PROBED_STREAMS),
    }
    if not probes:
        options |= UNPROBED
    if flags:
        options["fflags"] = flags
    reader.seek(0)
    container = av.open(reader, "r", options=options, buffer_size=BLOCK, io_open=_refuse_to_open)
    try:
        yield container
    finally:
        container.close()


def fraction(value: AVRational | None, otherwise: Fraction = Fraction(0)) -> Fraction:
    """Return libav's rational as a fraction; `otherwise` for none and 0/0."""
    return Fraction(value.numerator, value.denominator) if value is not None and value.denominator else otherwise


def shown_picture(container: InputContainer) -> VideoStream:
    """Return the first picture stream that isn't cover art.

    Raises:
        Refused: there is none.
    """
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    raise Refused(Reason.NOT_VIDEO, "no picture stream")


def read_only(container: InputContainer, *streams: Stream) -> None:
    """Let the container skip the packets of all other streams."""
    for stream in container.streams:
        if stream not in streams:
            stream.discard = type(stream.discard).all


def picture_stream(container: InputContainer, index: int) -> VideoStream:
    """Return the picture stream of this number, the only one to be read, decoded in one thread."""
    stream = container.streams[index]
    if not isinstance(stream, VideoStream):
        raise Refused(Reason.DAMAGED, "the picture stream is gone")
    read_only(container, stream)
    stream.thread_type, stream.thread_count = "NONE", 1
    return stream


def packets(container: InputContainer, *streams: Stream) -> "Iterator[Packet[Stream]]":
    """Yield the streams' packets with content; damage in the container ends them."""
    try:
        yield from (packet for packet in container.demux(*streams) if packet.size)
    except av.error.InvalidDataError:
        return


def decoded(found: "Iterable[Packet[Stream]]", stream: VideoStream) -> Iterator[VideoFrame | None]:
    """Yield the frames of the stream's packets, those that the decoder holds back too; None for what is damaged."""
    for packet in chain(found, [None]):
        try:
            yield from stream.decode(packet)
        except av.error.InvalidDataError:
            yield None
        except av.error.EOFError:
            return


def sounds(stream: AudioStream, packet: "Packet[Stream] | None") -> list[AudioFrame] | None:
    """Return a packet's samples, those that remain for no packet; None if it can't be decoded."""
    try:
        return stream.decode(packet)
    except av.error.InvalidDataError:
        return None
    except av.error.EOFError:
        return []
