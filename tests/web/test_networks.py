"""Where a request comes from, with and without proxies in front."""

import pytest
from django.test import RequestFactory

from fatfire.web.networks import network_of

CASES = [
    # trusted proxies, REMOTE_ADDR, X-Forwarded-For, network
    (0, "192.0.2.7", None, "192.0.2.7"),
    (0, "192.0.2.7", "198.51.100.1", "192.0.2.7"),
    (0, "2001:db8:1:2:3::4", None, "2001:db8:1:2::/64"),
    (0, "2001:db8:1:2:ffff::9", None, "2001:db8:1:2::/64"),
    (0, "::ffff:192.0.2.7", None, "192.0.2.7"),
    (0, "", None, ""),
    (1, "10.0.0.1", "198.51.100.1", "198.51.100.1"),
    (1, "10.0.0.1", "1.2.3.4, 198.51.100.1", "198.51.100.1"),
    (2, "10.0.0.1", "1.2.3.4, 198.51.100.1,10.0.0.9", "198.51.100.1"),
    (2, "10.0.0.1", "198.51.100.1", ""),
    (1, "10.0.0.1", None, ""),
    (1, "10.0.0.1", "garbage", ""),
]


@pytest.mark.parametrize(("proxies", "address", "forwarded", "network"), CASES)
def test_network_is_what_the_outermost_proxy_of_ours_saw(settings, proxies, address, forwarded, network):
    settings.TRUSTED_PROXIES = proxies
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}

    assert network_of(RequestFactory().get("/", REMOTE_ADDR=address, headers=headers)) == network
