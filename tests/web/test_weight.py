"""How much a page loads beside its own text and the font."""

import gzip
import re

from django.contrib.staticfiles import finders

from tenants.isolation import tenant
from tests.factories import make_portfolio

MOST_BYTES = 40_000
FONT = "unfold/fonts/inter/styles.css"


def test_scripts_and_styles_stay_small(home, client):
    with tenant(home.id):
        make_portfolio()
    weights = {}
    for path in ("/", "/net-worth", "/accounts", "/assets", "/portfolios", "/sign-in"):
        page = client.get(path).content.decode()
        for url in re.findall(r'<(?:link rel="stylesheet" href|script [^>]*?src)="/static/([^"]+)"', page):
            # As WhiteNoise serves it; a hash in the name is of the collected file only.
            with open(finders.find(url), "rb") as file:
                weights[url] = len(gzip.compress(file.read(), compresslevel=9))

    assert {FONT, "fatfire/app.css", "fatfire/app.js", "fatfire/theme.js"} < weights.keys()
    assert len(weights) == 5, weights  # and htmx
    assert sum(weights.values()) - weights[FONT] <= MOST_BYTES, weights
