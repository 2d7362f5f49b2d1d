"""What work costs on the machine where benchmarks/transcode_costs.py was run; `Wanted.pace` is another's."""

from services.media.engine.media import Media, Video

DECODE = {
    "h264": (0.8, 80.0),
    "hevc": (1.1, 110.0),
    "vp9": (1.0, 100.0),
    "av1": (0.7, 100.0),
    "libdav1d": (0.7, 100.0),
    "mpeg2video": (0.3, 14.0),
    "mpeg4": (0.5, 15.0),
}
"""Milliseconds of one core per million pixels and per megabyte: where there are many bits, they cost the most."""
_DECODE_OTHER = (1.1, 50.0)
ENCODE = {"ultrafast": 4.0, "superfast": 13.0, "veryfast": 14.0, "faster": 23.0, "fast": 26.0, "medium": 34.0}
"""Milliseconds of one core per million pixels; libx264 at crf 23, one thread."""
SOUND = 0.022
"""Seconds of one core per second of a sound track, decoded and made into AAC."""


def decode_seconds(video: Video, size: float) -> float:
    """Return the processor time of decoding one frame of so many bytes."""
    pixels, bytes_ = DECODE.get(video.codec, _DECODE_OTHER)
    return 1e-9 * (pixels * video.width * video.height + bytes_ * size)


def encode_seconds(width: int, height: int, preset: str) -> float:
    """Return the processor time of scaling and encoding one frame of this size."""
    return ENCODE.get(preset, ENCODE["medium"]) * 1e-9 * width * height


def sound_seconds(media: Media) -> float:
    """Return the processor time of all sound tracks."""
    return SOUND * len(media.audio) * float(media.duration)
