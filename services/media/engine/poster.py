"""One picture that stands for a video."""

from fractions import Fraction
from itertools import islice

import av
from av.video.frame import VideoFrame

from services.media.engine.media import Media
from services.media.engine.opening import decoded, opened, packets, picture_stream
from services.media.engine.picture import Filters, Picture
from services.media.engine.plan import Rendition, choose_outputs
from services.media.engine.reader import Reader
from services.media.engine.refusal import Reason, Refused

SHORT_SIDE = 720
_LOOKED_AT = 12


def make_poster(reader: Reader, media: Media) -> bytes:
    """Return a JPEG, upright: the most usual picture of a few around a tenth of the video, so hardly a black one.

    Raises:
        Refused: no picture can be decoded.
    """
    video = media.video
    at = video.start + round(media.duration / 10 / video.time_base)
    frames = _frames(reader, media, at) or _frames(reader, media, None)
    if not frames:
        raise Refused(Reason.NO_FRAMES)
    picture = Picture(video, choose_outputs(video, (Rendition("poster", SHORT_SIDE),))[0])
    choice = Filters((f"thumbnail=n={len(frames)}",), video.time_base)
    chosen: list[VideoFrame] = []
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base = number, video.time_base
        chosen += choice.push(picture(frame))
    chosen += choice.flush()
    return _jpeg(chosen[0] if chosen else picture(frames[0]))


def _frames(reader: Reader, media: Media, at: int | None) -> list[VideoFrame]:
    with opened(reader, makes_times=media.makes_times, probes=not media.indexed) as container:
        stream = picture_stream(container, media.video.stream)
        stream.codec_context.skip_frame = "NONREF"
        try:
            if at is not None:
                container.seek(at, stream=stream, backward=True)
        except (av.error.PermissionError, av.error.InvalidDataError):
            return []
        tried = islice(decoded(packets(container, stream), stream), 20 * _LOOKED_AT)
        return list(islice((frame for frame in tried if frame is not None), _LOOKED_AT))


def _jpeg(frame: VideoFrame) -> bytes:
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"qmin": "4", "qmax": "4"}
    (full,) = Filters(("scale=out_range=pc", "format=yuvj420p"), Fraction(1, 25)).push(frame)
    full.pts, full.time_base, full.pict_type = 0, Fraction(1, 25), 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(full), *encoder.encode(None)])
