"""What work costs, from measurements; a caller with a history of jobs may fit its own."""

from dataclasses import dataclass

from services.media.engine.media import Media, Video

DECODE = {"h264": 4.0, "hevc": 6.0, "vp9": 5.0, "av1": 6.0, "libdav1d": 6.0, "mpeg2video": 2.5, "mpeg4": 3.0}
_DECODE_OTHER = 8.0
ENCODE = {"ultrafast": 7.0, "superfast": 11.0, "veryfast": 19.0, "faster": 28.0, "fast": 40.0, "medium": 50.0}
"""Milliseconds of one core per million pixels; libx264 at crf 23, one thread (benchmarks/transcode.py)."""
SOUND = 0.022
"""Seconds of one core per second of a sound track, decoded and made into AAC."""


@dataclass(frozen=True)
class Costs:
    """Factors on the measured costs of this machine's core."""

    decode: float = 1.0
    encode: float = 1.0

    def decode_seconds(self, video: Video) -> float:
        """Return the processor time of decoding one frame."""
        return self.decode * DECODE.get(video.codec, _DECODE_OTHER) * 1e-9 * video.width * video.height

    def encode_seconds(self, width: int, height: int, preset: str) -> float:
        """Return the processor time of scaling and encoding one frame of this size."""
        return self.encode * ENCODE.get(preset, ENCODE["medium"]) * 1e-9 * width * height

    def sound_seconds(self, media: Media) -> float:
        """Return the processor time of all sound tracks."""
        return self.encode * SOUND * len(media.audio) * float(media.duration)
