"""What the API takes and gives for videos. Sizes are bytes, lengths seconds."""

import datetime as dt
from typing import Annotated, Self
from uuid import UUID

from ninja import Schema
from pydantic import Field, StringConstraints

from fatfire.kit.schemas import Body
from services.media.models import Video, VideoState
from services.media.operations import Upload, VideoFacts
from services.media.playback import Playback
from services.media.queries import Progress


class VideoIn(Body):
    """What is said of a video; the policy and the asset are of the same portfolio."""

    portfolio_id: UUID
    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
    policy_id: UUID | None = None
    asset_id: UUID | None = None

    def facts(self) -> VideoFacts:
        """Return it for the operation."""
        return VideoFacts(**self.model_dump())


class FileIn(Body):
    """The file that is to be sent: the same again goes on with its upload."""

    file_name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    size: int = Field(ge=1, le=2**53)


class PartOut(Schema):
    """A part to send: `size` bytes of the file from `start` on, by PUT, without headers of your own."""

    number: int
    start: int
    size: int
    url: str


class UploadOut(Schema):
    """How far an upload is. `to_send` is the next missing parts, not all of them; none: complete it."""

    size: int
    part_bytes: int
    received_bytes: int
    to_send: list[PartOut]

    @classmethod
    def of(cls, upload: Upload) -> Self:
        """Return what is shown of the upload."""
        return cls.model_validate(upload, from_attributes=True)


class VideoOut(Schema):
    """A video. Its size is the file's as it was sent, its width and height the pictures' as they are shown."""

    id: UUID
    portfolio_id: UUID
    policy_id: UUID | None
    asset_id: UUID | None
    title: str
    state: VideoState
    error_code: str
    error_detail: str
    file_name: str
    size: int | None
    seconds: float | None
    width: int | None
    height: int | None
    created_at: dt.datetime
    asked_at: dt.datetime | None
    ready_at: dt.datetime | None

    @classmethod
    def of(cls, video: Video) -> Self:
        """Return what is shown of the video."""
        return cls.model_validate(video, from_attributes=True)


class ProgressOut(Schema):
    """How far the work on a video is; `speed` is seconds of video a second, `left_s` an estimate."""

    segments: int
    segments_made: int
    percent: int
    elapsed_s: float | None
    predicted_s: float | None
    speed: float | None
    left_s: float | None


class VideoDetail(VideoOut):
    """A video with how far the work on it is."""

    progress: ProgressOut

    @classmethod
    def with_progress(cls, video: Video, progress: Progress) -> Self:
        """Return what is shown of the video."""
        shown = {name: getattr(video, name) for name in VideoOut.model_fields}
        return cls(**shown, progress=ProgressOut.model_validate(progress, from_attributes=True))


class QualityOut(Schema):
    """A rendition as MP4."""

    name: str
    url: str
    width: int
    height: int
    size: int


class TrackOut(Schema):
    """Captions as WebVTT."""

    url: str
    language: str
    label: str


class PlaybackOut(Schema):
    """What can be played by now. The addresses are good for `expires_s` seconds, for whoever has them.

    `playlists` is HLS, from the first segment on: each playlist by its name, which others refer to. Empty: none, or not
    any more.
    """

    poster: str
    qualities: list[QualityOut]
    captions: list[TrackOut]
    playlists: dict[str, str]
    expires_s: int

    @classmethod
    def of(cls, playback: Playback, playlists: dict[str, str]) -> Self:
        """Return what is shown of it."""
        return cls(
            poster=playback.poster,
            qualities=[QualityOut.model_validate(each, from_attributes=True) for each in playback.qualities],
            captions=[TrackOut.model_validate(each, from_attributes=True) for each in playback.captions],
            playlists=playlists,
            expires_s=playback.expires_s,
        )
