"""What a video shows and sounds like, by one plain pass of libav from beginning to end: nothing of ours, no seek."""

import io
from dataclasses import dataclass
from fractions import Fraction
from hashlib import blake2b

import av
from av.stream import Disposition
from av.video.frame import VideoFrame


@dataclass(frozen=True)
class Seen:
    """Each frame's time in seconds and the digest of its samples; each sound track's first time and sample count."""

    times: tuple[Fraction, ...]
    pictures: tuple[str, ...]
    sounds: tuple[tuple[Fraction, int], ...]


def look(content: bytes, *, rotation: int = 0, even: bool = False) -> Seen:
    """Return what there is, its pictures turned counter-clockwise and, if `even`, without a last odd column or row."""
    options = {"fflags": "+genpts"}
    times, pictures = [], []
    with av.open(io.BytesIO(content), options=options) as container:
        stream = next(each for each in container.streams.video if not each.disposition & Disposition.attached_pic)
        for frame in container.decode(stream):
            times.append(frame.pts * Fraction(stream.time_base.numerator, stream.time_base.denominator))
            pictures.append(digest(frame, rotation=rotation, even=even))
        tracks = [each.index for each in container.streams.audio]
    return Seen(tuple(times), tuple(pictures), tuple(listen(content, index) for index in tracks))


def listen(content: bytes, index: int) -> tuple[Fraction, int]:
    """Return when a track begins and how many samples it has."""
    first, samples = None, 0
    with av.open(io.BytesIO(content), options={"fflags": "+genpts"}) as container:
        for frame in container.decode(container.streams[index]):
            if first is None:
                first = frame.pts * Fraction(frame.time_base.numerator, frame.time_base.denominator)
            samples += frame.samples
    return first or Fraction(0), samples


def digest(frame: VideoFrame, *, rotation: int = 0, even: bool = False) -> str:
    """Return a digest of the samples that are shown, plane by plane."""
    made = blake2b(digest_size=16)
    for plane, component in zip(frame.planes, frame.format.components, strict=True):
        sample = -(-component.bits // 8)
        width, height = plane.width, plane.height
        if even and component.index == 0:
            width, height = width // 2 * 2, height // 2 * 2
        elif even:
            width, height = frame.width // 2, frame.height // 2
        content = bytes(plane)
        rows = [content[y * plane.line_size : y * plane.line_size + width * sample] for y in range(height)]
        for row in turned(rows, sample, rotation):
            made.update(row)
    return made.hexdigest()


def turned(rows: list[bytes], sample: int, rotation: int) -> list[bytes]:
    """Return the picture turned counter-clockwise by 0, 90, 180 or 270 degrees."""
    if not rotation:
        return rows
    pixels = [[row[x : x + sample] for x in range(0, len(row), sample)] for row in rows]
    for _ in range(rotation // 90):
        pixels = list(zip(*pixels, strict=True))[::-1]
    return [b"".join(row) for row in pixels]
