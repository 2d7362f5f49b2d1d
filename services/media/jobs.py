"""Jobs of the media service: each does one piece of the work on a video, and asks for what has become possible by it.

The video's rows are the plan; `operations.transcoding` says what comes after what.
"""

from services.jobs.jobs import Backoff, JobKind, Queue, Reach

_RETRY = Backoff(first_s=5, times=3)
_LEASE_S = 180
"""Longer than the engine may take without a word: its inspection, and the upload of an MP4 that was put together."""

PREPARE = JobKind("media.prepare_video", queue=Queue.MEDIA, lease_s=_LEASE_S, retry=_RETRY)
"""The subject is a video: looks at the file, and plans where it is cut."""
MAKE_TRACKS = JobKind("media.make_tracks", queue=Queue.MEDIA, time_limit_s=900, lease_s=_LEASE_S, retry=_RETRY)
"""The subject is a video: its sound and captions, and the plan where only a whole pass can make it."""
MAKE_POSTER = JobKind("media.make_poster", queue=Queue.MEDIA, lease_s=_LEASE_S, retry=_RETRY)
"""The subject is a video."""
MAKE_SEGMENT = JobKind("media.make_segment", queue=Queue.MEDIA, time_limit_s=900, lease_s=_LEASE_S, retry=_RETRY)
"""The subject is a segment."""
ASSEMBLE = JobKind("media.assemble_rendition", queue=Queue.MEDIA, time_limit_s=900, lease_s=_LEASE_S, retry=_RETRY)
"""The subject is a rendition."""
DELETE_VIDEO = JobKind("media.delete_video", time_limit_s=900, lease_s=_LEASE_S)
"""The subject is a video; its files, then its row."""
TIDY = JobKind("media.tidy", reach=Reach.PLATFORM, time_limit_s=900, lease_s=_LEASE_S)
DELETE_STRAYS = JobKind("media.delete_strays", reach=Reach.PLATFORM, time_limit_s=900, lease_s=_LEASE_S)
