"""For the guard of the pages: how the videos' are found, in each state."""

from collections.abc import Callable

from services.media.models import Video, VideoState
from tests.browser.catalogue import Look, filling


def _video(state: VideoState) -> Callable[[], dict[str, object]]:
    return lambda: {"video_id": Video.objects.filter(state=state).earliest("created_at", "id").id}


_READY, _COMING = _video(VideoState.READY), _video(VideoState.UPLOADING)

PAGES: dict[str, tuple[Look, ...]] = {
    "videos": (
        Look(),
        Look("viewer", who="viewer"),
        Look("no-portfolio", who="newcomer"),
        Look("empty", who="linker"),
        Look("troubled", who="troubled"),
    ),
    "add-video": (Look(), Look("refused", act=filling("Continue", title=""), status=422)),
    "video": (
        Look(arguments=_READY),
        Look("viewer", who="viewer", arguments=_READY),
        *(
            Look(state.value, who="troubled", arguments=_video(state))
            for state in (VideoState.UPLOADING, VideoState.WORKING, VideoState.FAILED, VideoState.CANCELLED)
        ),
    ),
    "edit-video": (
        Look(arguments=_READY),
        Look("refused", arguments=_READY, act=filling("Save video", title=""), status=422),
    ),
    "delete-video": (Look(arguments=_READY),),
    "upload-video": (
        Look(who="troubled", arguments=_COMING),
        Look("sent", who="troubled", arguments=_COMING, query="?sent"),
    ),
}
NO_PAGES = {
    "cancel-video": "a form's",
    "retry-video": "a form's",
    "complete-upload": "a form's",
    "video-parts": "the upload's script asks it",
    "video-playlist": "the player asks it",
    "file": "a laptop's storage: files, no page",
}
