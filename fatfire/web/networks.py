"""Where a request comes from, to count by."""

from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

UNKNOWN = ""
"""All whose address can't be told are counted together."""


def network_of(request: HttpRequest) -> str:
    """Return the network of who makes the request: the IPv4 address, or the /64 of an IPv6 one, which one line has.

    With TRUSTED_PROXIES of them in front, it is that entry of X-Forwarded-For from the right, which the outermost of
    them wrote; what stands before it anybody may have written. Where it is missing the request came another way.
    """
    address = request.META.get("REMOTE_ADDR", "")
    if settings.TRUSTED_PROXIES:
        entries = request.headers.get("X-Forwarded-For", "").split(",")
        address = entries[-settings.TRUSTED_PROXIES].strip() if len(entries) >= settings.TRUSTED_PROXIES else ""
    try:
        found = ip_address(address)
    except ValueError:
        return UNKNOWN
    if found.version == 4:
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ip_network((int(found), 64), strict=False))
