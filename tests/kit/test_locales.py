"""The locales that can be chosen, and which one somebody gets who hasn't chosen."""

import re

import pytest
from babel import Locale

from fatfire.kit.errors import InvalidInput
from fatfire.kit.locales import DEFAULT_LOCALE, LOCALES, match_locale, require_locale

MATCHES = [
    # wanted, country, locale
    (["de-de", "en"], "AU", "de-DE"),
    (["de-CH"], "AU", "de-CH"),
    (["de"], "CH", "de-CH"),
    (["de"], "AU", "de-DE"),
    (["en"], "AU", "en-AU"),
    (["en"], "DE", "en-US"),
    (["xx", "ru-ru", "fr"], "AU", "fr-FR"),
    (["en-fj", "pt"], "AU", "pt-PT"),
    (["*"], "AU", "en-AU"),
    ([], "DE", "de-DE"),
    ([], "IN", "en-IN"),
    ([], "FJ", "en-AU"),
    (["zh-hant-tw"], "NZ", "en-NZ"),
]


@pytest.mark.parametrize(("wanted", "country", "locale"), MATCHES)
def test_locale_for_someone_new(wanted, country, locale):
    assert match_locale(wanted, country=country) == locale


@pytest.mark.parametrize("tag", LOCALES)
def test_every_locale_is_known_to_babel_and_fits_the_constraint(tag):
    assert str(Locale.parse(tag, sep="-")) == tag.replace("-", "_")
    assert re.fullmatch("[a-z]{2,3}-[A-Z]{2}", tag)
    assert require_locale(tag) == tag


@pytest.mark.parametrize("tag", ["", "en", "en_AU", "EN-AU", "ar-EG"])
def test_other_locales_are_refused(tag):
    with pytest.raises(InvalidInput) as refusal:
        require_locale(tag)
    assert refusal.value.field == "locale"


def test_default_can_be_chosen():
    assert DEFAULT_LOCALE in LOCALES
