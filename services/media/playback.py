"""What of a video can be played, by addresses that expire; in the open scope."""

import re
from dataclasses import dataclass

from fatfire.kit.storage import storage
from services.media.models import Captions, Playlist, Rendition, Video, VideoState
from services.media.queries import (
    ADDRESS_SECONDS,
    JPEG,
    MASTER,
    MP4,
    VTT,
    captions_key,
    piece_key,
    poster_key,
    rendition_key,
)

_NAME_IN_TAG = re.compile(r'URI="([^"]+)"')
_TYPES = {"mp4": MP4, "m4s": "video/iso.segment", "vtt": VTT}


@dataclass(frozen=True, slots=True)
class Track:
    """Captions to be shown, by their address."""

    url: str
    language: str
    label: str


@dataclass(frozen=True, slots=True)
class Quality:
    """A rendition by its address; `size` in bytes."""

    name: str
    url: str
    width: int
    height: int
    size: int


@dataclass(frozen=True, slots=True)
class Playback:
    """What a player needs. `has_playlist`: it can be played by HLS, from the first segment on; addresses expire."""

    has_playlist: bool
    poster: str
    qualities: tuple[Quality, ...]
    captions: tuple[Track, ...]
    expires_s: int = ADDRESS_SECONDS


def playback_of(*, video: Video) -> Playback:
    """Return what there is to play by now."""
    files = storage()

    def address(key: str, content_type: str) -> str:
        return files.url(key, content_type=content_type, expires_s=ADDRESS_SECONDS)

    made = Rendition.objects.filter(video=video, made_at__isnull=False).order_by("-height", "-width")
    texts = Captions.objects.filter(video=video).order_by("name")
    is_ready = video.state == VideoState.READY
    return Playback(
        has_playlist=has_playlist(video=video),
        poster=address(poster_key(video), JPEG) if video.has_poster else "",
        qualities=tuple(
            Quality(each.name, address(rendition_key(video, each.name), MP4), each.width, each.height, each.size or 0)
            for each in (made if is_ready else ())
        ),
        captions=tuple(
            Track(
                address(captions_key(video, each.name), VTT), each.language, each.title or each.language or "Captions"
            )
            for each in texts
        ),
    )


def has_playlist(*, video: Video) -> bool:
    """Return whether the video can be played by HLS: its first segment is there, and its pieces still are."""
    is_kept = video.pieces_deleted_at is None and video.state in {VideoState.WORKING, VideoState.READY}
    return is_kept and Playlist.objects.filter(video=video, name=MASTER).exists()


def playlists_of(*, video: Video) -> dict[str, str]:
    """Return all playlists of the video by their names, with addresses in the files' places; none: not by HLS."""
    if not has_playlist(video=video):
        return {}
    signed = _Signed(video)
    return {each.name: signed.text(each.text) for each in Playlist.objects.filter(video=video).order_by("name")}


def playlist(*, video: Video, name: str) -> str:
    """Return a playlist: other playlists by their names, which lie beside it, and files by their addresses.

    Raises:
        Playlist.DoesNotExist: there is none of the name, or not any more.
    """
    if not has_playlist(video=video):
        raise Playlist.DoesNotExist
    return _Signed(video).text(Playlist.objects.get(video=video, name=name).text)


class _Signed:
    """Puts addresses into playlists: one for each file, which is named by each of its ranges."""

    def __init__(self, video: Video) -> None:
        self._video, self._files = video, storage()
        self._addresses: dict[str, str] = {}

    def text(self, text: str) -> str:
        return "\n".join(
            self._address(line)
            if line and not line.startswith("#")
            else _NAME_IN_TAG.sub(lambda found: f'URI="{self._address(found[1])}"', line)
            for line in text.split("\n")
        )

    def _address(self, name: str) -> str:
        kind = name.rpartition(".")[2]
        if kind == "m3u8":
            return name
        if name not in self._addresses:
            key = captions_key(self._video, name) if kind == "vtt" else piece_key(self._video, name)
            self._addresses[name] = self._files.url(key, content_type=_TYPES[kind], expires_s=ADDRESS_SECONDS)
        return self._addresses[name]
