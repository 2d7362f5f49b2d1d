"""The files of a laptop's storage, by the addresses that it signed. With a bucket there are none here.

Who has an address may do with it the one thing that it is good for: that is what it was made for, so nobody is asked
who they are. What is served is somebody's upload; it is shown as what we say it is, and may do nothing.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.utils.csp import CSP
from django.views.decorators.csp import csp_override
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from fatfire.kit.storage import ObjectMissing
from fatfire.kit.storage.folder import CHUNK, Expired, Folder, TooLarge, signed

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_POLICY: dict[str, Any] = {"default-src": [CSP.NONE], "sandbox": True}
_METHODS = {"get": {"GET", "HEAD"}, "part": {"PUT"}, "whole": {"POST"}}


@csrf_exempt  # the address is the permission, and no other site knows it
@csp_override(_POLICY)
@require_http_methods(["GET", "HEAD", "PUT", "POST"])
def serve(request: HttpRequest, token: str) -> HttpResponseBase:
    """Give a file, or receive one or a part of one."""
    if settings.MEDIA_BUCKET:
        raise Http404
    try:
        what = signed(token)
    except Expired:
        return HttpResponse("This address is no longer good.", status=403, content_type="text/plain")
    if request.method not in _METHODS[what["do"]]:
        return HttpResponse(status=405)
    folder = Folder(Path(settings.MEDIA_FOLDER))
    try:
        if what["do"] == "get":
            return _send(request, folder.path(what["key"]), what["type"], what["name"])
        if what["do"] == "part":
            tag = folder.receive_part(what["upload"], what["number"], what["size"], request)  # type: ignore[arg-type]
            return HttpResponse(headers={"ETag": f'"{tag}"'})
        sent = request.FILES.get("file")
        if sent is None:
            raise TooLarge
        folder.receive_whole(what["key"], what["most"], sent)
        return HttpResponseRedirect(what["return_to"], status=303)
    except ObjectMissing:
        raise Http404 from None
    except TooLarge:
        return HttpResponse("Not as many bytes as were expected.", status=413, content_type="text/plain")


def _send(request: HttpRequest, path: Path, content_type: str, name: str) -> HttpResponseBase:
    """Return the file, or the range of it that is asked for."""
    size = path.stat().st_size
    headers = {"Accept-Ranges": "bytes", "Cache-Control": "private, max-age=3600"}
    found = _RANGE.fullmatch(request.headers.get("Range", ""))
    if not found or found.groups() == ("", ""):
        response = FileResponse(path.open("rb"), content_type=content_type, as_attachment=bool(name), filename=name)
        for header, value in headers.items():
            response[header] = value
        return response
    first, last = found.groups()
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last), size - 1) if first and last else size - 1
    if start > end:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    headers |= {"Content-Range": f"bytes {start}-{end}/{size}", "Content-Length": str(end - start + 1)}
    return StreamingHttpResponse(_chunks(path, start, end + 1), status=206, headers=headers, content_type=content_type)


def _chunks(path: Path, start: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while start < end:
            chunk = file.read(min(CHUNK, end - start))
            start += len(chunk)
            yield chunk
