"""Files that lie, reach out, or are too much."""

import io
import random
from fractions import Fraction

import av

from tests.services.media.engine.inputs import X265, Recipe, Sound, framed, make, pattern, small
from tests.services.media.engine.pipeline import Rewritable

FASTSTART = {"movflags": "faststart"}


def plain(name: str = "plain", **changes: object) -> bytes:
    """Return two seconds of video, its header in front unless told otherwise."""
    return make(small(name, **changes))


def header_first(content: bytes) -> bytes:
    """Return the MP4 with its index moved to the front, by copying packets into one that has it there."""
    file = Rewritable()
    with (
        av.open(io.BytesIO(content)) as source,
        av.open(file, "w", format="mp4", options=FASTSTART, io_open=file.again) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                target.mux_one(packet)
    return file.getvalue()


def patched(content: bytes, box: bytes, offset: int, value: bytes) -> bytes:
    """Return the content with bytes changed at an offset after a box's name."""
    at = content.index(box) + len(box) + offset
    return content[:at] + value + content[at + len(value) :]


def damaged(content: bytes, start: float, length: int) -> bytes:
    """Return the content with noise over a part that begins at this share of it."""
    at = int(start * len(content))
    return content[:at] + random.Random(7).randbytes(length) + content[at + length :]


def encrypted() -> bytes:
    """Return a video under Common Encryption."""
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb"}
    return plain(container_options={**key, "encryption_kid": "a7e61c373e219033c21091fa607bf3b8"})


def dolby_vision(compatibility: int) -> bytes:
    """Return HEVC that says it is Dolby Vision of profile 5, or 8 whose base layer means something by itself."""
    content = plain(codec="libx265", options=X265)
    profile = 8 if compatibility else 5
    bits = (profile << 9) | (6 << 3) | 0b101  # level 6; metadata and base layer are there
    box = (32).to_bytes(4) + b"dvcC" + bytes([1, 0]) + bits.to_bytes(2) + bytes([compatibility << 4]) + bytes(19)
    start = content.index(b"hvcC") - 4
    at = start + int.from_bytes(content[start : start + 4])
    grown = bytearray(content[:at] + box + content[at:])
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"hev1"):
        place = content.rindex(name, 0, at) - 4
        grown[place : place + 4] = (int.from_bytes(content[place : place + 4]) + len(box)).to_bytes(4)
    return bytes(grown)


def sound_only() -> bytes:
    """Return a song."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as target:
        track = target.add_stream("aac", rate=48000, layout="stereo")
        for frame in framed(track, Sound(1.0)):
            target.mux(track.encode(frame))
        target.mux(track.encode(None))
    return file.getvalue()


def picture() -> bytes:
    """Return a still picture."""
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 64, 64, "rgb24", Fraction(1, 25)
    (frame,) = pattern(Recipe("png", size=(64, 64), pixels="rgb24", frames=1))
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def of_time(*times: float) -> bytes:
    """Return a video of a few frames at these seconds."""
    recipe = small("still", frames=len(times), time_base=Fraction(1, 1000), time=lambda n: round(1000 * times[n]))
    return make(recipe)


def without_frames() -> bytes:
    """Return a header and nothing."""
    content = plain()
    for box in (b"stsz", b"stts", b"stsc", b"stco", b"stss", b"ctts"):
        offset = 8 if box == b"stsz" else 4
        content = patched(content, box, offset, bytes(4))
    return content


SDP = (
    b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=video 49170 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
)
HLS = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile '/etc/passwd'\n"
DASH = b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'><BaseURL>http://127.0.0.1/</BaseURL></MPD>"
