"""Writing videos: upload, the work on them, deletion."""

from services.media.models import Video
from services.media.operations.allowing import set_allowance
from services.media.operations.attempt import EngineCrashed, VideoRefused
from services.media.operations.deletion import delete_strays, delete_video, run_deletion, tidy
from services.media.operations.pieces import (
    run_assembly,
    run_poster,
    run_prepare,
    run_segment,
    run_tracks,
)
from services.media.operations.transcoding import (
    NotBeingPrepared,
    NotToBeTriedAgain,
    cancel_transcode,
    retry_transcode,
)
from services.media.operations.uploading import (
    FileTooLarge,
    NotUploading,
    TooManyVideos,
    Upload,
    UploadIncomplete,
    UploadNotBegun,
    VideoFacts,
    add_video,
    begin_upload,
    complete_upload,
    update_video,
    upload_form,
    upload_of,
)

__all__ = [
    "EngineCrashed",
    "FileTooLarge",
    "NotBeingPrepared",
    "NotToBeTriedAgain",
    "NotUploading",
    "TooManyVideos",
    "Upload",
    "UploadIncomplete",
    "UploadNotBegun",
    "Video",
    "VideoFacts",
    "VideoRefused",
    "add_video",
    "begin_upload",
    "cancel_transcode",
    "complete_upload",
    "delete_strays",
    "delete_video",
    "retry_transcode",
    "run_assembly",
    "run_deletion",
    "run_poster",
    "run_prepare",
    "run_segment",
    "run_tracks",
    "set_allowance",
    "tidy",
    "update_video",
    "upload_form",
    "upload_of",
]
