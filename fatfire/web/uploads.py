"""The page that sends a video's file, straight to the storage: in parts by a script, or whole by a plain form."""

from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils.csp import CSP
from django.views.decorators.csp import csp_override
from django.views.decorators.http import require_POST, require_safe

from fatfire.kit.clock import now
from fatfire.kit.errors import DomainError
from fatfire.kit.storage import StorageUnavailable
from fatfire.web.access import page
from fatfire.web.flash import see_other
from fatfire.web.shell import shell_of, show
from services.accounts.queries import principal_of
from services.media import operations, queries
from services.media.models import VideoState
from tenants.isolation import opens_own_transaction, tenant
from tenants.permissions import Role, requires

# The plain form sends the file to the storage, and is the only one that goes elsewhere.
_POLICY: dict[str, Any] = {**settings.SECURE_CSP, "form-action": [CSP.SELF, *filter(None, [settings.MEDIA_ORIGIN])]}
_NOT_THERE = "The file hasn't arrived. Choose it again."
_UNREACHABLE = "The storage can't be reached at the moment. What has arrived is kept; try again in a few minutes."


class FileForm(forms.Form):
    """What a browser says of the file that it is about to send."""

    file_name = forms.CharField(max_length=200)
    size = forms.IntegerField(min_value=1)


@csp_override(_POLICY)
@require_safe
@page
@requires(Role.MEMBER)
def show_form(request: HttpRequest, video_id: UUID) -> HttpResponse:
    """Ask for the file; `?sent` is where the plain form comes back to."""
    video = queries.get_video(video_id=video_id)
    if video.state != VideoState.UPLOADING:
        return HttpResponseRedirect(reverse("video", args=[video_id]))
    return _show(request, video_id)


@require_POST
@page
@opens_own_transaction
def parts(request: HttpRequest, video_id: UUID) -> JsonResponse:
    """Tell the script which parts of the file are missing, and where to send them."""
    form = FileForm(request.POST)
    if not form.is_valid():
        return JsonResponse({"error": "That file can't be sent."}, status=422)
    try:
        upload = operations.begin_upload(
            tenant_id=principal_of(request).tenant_id, video_id=video_id, **form.cleaned_data
        )
    except StorageUnavailable:
        return JsonResponse({"error": _UNREACHABLE}, status=503)
    except DomainError as error:
        return JsonResponse({"error": error.detail}, status=error.status)
    to_send = [{"start": part.start, "size": part.size, "url": part.url} for part in upload.to_send]
    return JsonResponse({"size": upload.size, "received": upload.received_bytes, "parts": to_send})


@csp_override(_POLICY)
@require_POST
@page
@opens_own_transaction
def complete(request: HttpRequest, video_id: UUID) -> HttpResponse:
    """Take the file that has arrived into work."""
    tenant_id = principal_of(request).tenant_id
    try:
        operations.complete_upload(tenant_id=tenant_id, video_id=video_id, at=now())
    except operations.UploadIncomplete as error:
        return _refuse(request, tenant_id, video_id, error, _NOT_THERE)
    except StorageUnavailable as error:
        return _refuse(request, tenant_id, video_id, error, _UNREACHABLE)
    except operations.FileTooLarge as error:
        return _refuse(request, tenant_id, video_id, error, error.detail)
    return see_other(request, reverse("video", args=[video_id]), saying="The file has arrived")


def _refuse(request: HttpRequest, tenant_id: UUID, video_id: UUID, error: DomainError, words: str) -> HttpResponse:
    with tenant(tenant_id):
        return _show(request, video_id, status=error.status, words=words)


def _show(request: HttpRequest, video_id: UUID, *, status: int = 200, words: str = "") -> HttpResponse:
    video = queries.get_video(video_id=video_id)
    allowed = queries.allowed()
    back = request.build_absolute_uri(reverse("upload-video", args=[video_id]) + "?sent")
    context: dict[str, Any] = {
        "video": video,
        "form": operations.upload_form(video=video, return_to=back),
        "most": allowed.max_bytes,
        "minutes": allowed.max_seconds // 60,
        "was_sent": "sent" in request.GET and not words,
        "words": words,
    }
    return show(request, "web/upload.html", shell_of(request, "videos"), status=status, **context)
