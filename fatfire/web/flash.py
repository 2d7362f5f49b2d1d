"""What one request has to say on the page after it: "Value saved"."""

from django.http import HttpRequest, HttpResponseRedirect

_FLASH = "flash"


def see_other(request: HttpRequest, path: str, *, saying: str) -> HttpResponseRedirect:
    """Return the way to the page that shows what was done, and have it say so once."""
    request.session[_FLASH] = saying
    return HttpResponseRedirect(path, status=303)


def take_flash(request: HttpRequest) -> str:
    """Return what is to be said, and forget it; empty: nothing."""
    if _FLASH not in request.session:
        return ""
    said: str = request.session.pop(_FLASH)
    return said
