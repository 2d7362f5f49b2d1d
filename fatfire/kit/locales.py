"""The languages and regions whose numbers, amounts and dates a person may choose."""

from collections.abc import Sequence

from fatfire.kit.errors import InvalidInput

DEFAULT_LOCALE = "en-AU"

# BCP 47 tags. Of each language the first is what the bare language means; of each country, what the country means.
LOCALES: dict[str, str] = {
    "en-US": "English (United States)",
    "en-AU": "English (Australia)",
    "en-CA": "English (Canada)",
    "en-GB": "English (United Kingdom)",
    "en-IE": "English (Ireland)",
    "en-IN": "English (India)",
    "en-NZ": "English (New Zealand)",
    "en-SG": "English (Singapore)",
    "en-ZA": "English (South Africa)",
    "da-DK": "Danish (Denmark)",
    "de-DE": "German (Germany)",
    "de-AT": "German (Austria)",
    "de-CH": "German (Switzerland)",
    "es-ES": "Spanish (Spain)",
    "es-MX": "Spanish (Mexico)",
    "fi-FI": "Finnish (Finland)",
    "fr-FR": "French (France)",
    "fr-CA": "French (Canada)",
    "fr-CH": "French (Switzerland)",
    "hi-IN": "Hindi (India)",
    "it-IT": "Italian (Italy)",
    "ja-JP": "Japanese (Japan)",
    "nb-NO": "Norwegian (Norway)",
    "nl-NL": "Dutch (Netherlands)",
    "pl-PL": "Polish (Poland)",
    "pt-PT": "Portuguese (Portugal)",
    "pt-BR": "Portuguese (Brazil)",
    "sv-SE": "Swedish (Sweden)",
}
"""Each locale's tag, and its name for the person who chooses."""


def require_locale(tag: str, *, field: str = "locale") -> str:
    """Return `tag` when it is one of LOCALES, written as there.

    Raises:
        InvalidInput: it is not; the message names `field`.
    """
    if tag not in LOCALES:
        msg = f"{tag!r} is not a language and region that can be chosen."
        raise InvalidInput(msg, field=field)
    return tag


def match_locale(wanted: Sequence[str], *, country: str) -> str:
    """Return the locale for someone whose browser wants these languages, the best first, in a household of `country`.

    A language alone ("de") is taken as spoken in that country, else where it is spoken most. Where none fits, the
    country decides, then DEFAULT_LOCALE.
    """
    by_lower_case = {tag.lower(): tag for tag in LOCALES}
    for each in wanted:
        language, _, region = each.lower().partition("-")
        tags = [each.lower()] if region else [f"{language}-{country.lower()}"]
        tags += [tag for tag in by_lower_case if not region and tag.startswith(f"{language}-")]
        if found := next((by_lower_case[tag] for tag in tags if tag in by_lower_case), None):
            return found
    return next((tag for tag in LOCALES if tag.endswith(f"-{country}")), DEFAULT_LOCALE)
