"""Caption tracks as WebVTT."""

import re
from dataclasses import dataclass, field
from fractions import Fraction

import av
from av.packet import Packet
from av.stream import Stream
from av.subtitles.subtitle import AssSubtitle

from services.media.engine.media import Caption, Media
from services.media.engine.opening import fraction

_OVERRIDE = re.compile(r"\{[^}]*\}")
_TAG = re.compile(r"</?[^>]*>")
_ASS_FIELDS_BEFORE_TEXT = 8
_MOST_CUES = 100_000
_UNTIMED_SECONDS = 4


@dataclass(frozen=True)
class CaptionResult:
    """A caption track that was made."""

    name: str
    stream: int
    language: str
    title: str
    cues: int


@dataclass
class CaptionDraft:
    """Collects the cues of one track."""

    media: Media
    caption: Caption
    _cues: list[tuple[Fraction, Fraction, str]] = field(default_factory=list)

    def add(self, packet: "Packet[Stream]") -> None:
        """Add what a packet says; damaged text is left out."""
        if packet.pts is None or len(self._cues) >= _MOST_CUES:
            return
        unit = fraction(packet.time_base)
        try:
            said = [_text(each) for subtitle in packet.decode() for each in _rects(subtitle)]
        except (av.error.InvalidDataError, UnicodeDecodeError):
            return
        start = packet.pts * unit - self.media.start
        end = start + (packet.duration * unit if packet.duration else _UNTIMED_SECONDS)
        if (text := "\n".join(line for line in said if line)) and end > 0:
            self._cues.append((max(start, Fraction(0)), end, text))

    def finish(self) -> tuple[str, int]:
        """Return the WebVTT and how many cues it has, in the order of their beginnings."""
        cues = [f"{_clock(start)} --> {_clock(end)}\n{text}\n" for start, end, text in sorted(self._cues)]
        return "\n".join(["WEBVTT\n", *cues]), len(cues)


def _rects(subtitle: object) -> list[AssSubtitle]:
    if isinstance(subtitle, AssSubtitle):
        return [subtitle]
    return [each for each in getattr(subtitle, "rects", ()) if isinstance(each, AssSubtitle)]


def _text(subtitle: AssSubtitle) -> str:
    """Return the plain text of a cue: without styles, and with nothing that WebVTT would take for markup."""
    line = subtitle.ass.decode()
    text = line.split(",", _ASS_FIELDS_BEFORE_TEXT)[-1] if line.count(",") >= _ASS_FIELDS_BEFORE_TEXT else line
    text = _TAG.sub("", _OVERRIDE.sub("", text)).replace("\\N", "\n").replace("\\n", "\n").replace("\\h", " ")
    lines = [part.strip() for part in text.splitlines() if part.strip()]
    return "\n".join(part.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for part in lines)


def _clock(seconds: Fraction) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}"
