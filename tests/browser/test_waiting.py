"""No test here asserts what a page says at one moment: it says what it expects, and Playwright waits until it is so.

A click ends once the next page has begun to arrive, not when its rows are there: on a busy machine they come later.
"""

import ast
from pathlib import Path

import pytest

MOMENTARY = {
    "all_inner_texts",
    "all_text_contents",
    "evaluate_all",
    "get_attribute",
    "inner_html",
    "inner_text",
    "input_value",
    "is_checked",
    "is_disabled",
    "is_enabled",
    "is_hidden",
    "is_visible",
    "text_content",
}
"""What a locator answers without waiting, or after waiting for nothing but the element."""


def momentary_reads(code: str) -> list[str]:
    """Return the assertions that read a page at one moment; a count without arguments is a locator's, or of rows."""
    found = []
    for statement in ast.walk(ast.parse(code)):
        if not isinstance(statement, ast.Assert):
            continue
        for call in ast.walk(statement):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
                bare_count = call.func.attr == "count" and not call.args and not call.keywords
                if call.func.attr in MOMENTARY or (bare_count and ".objects." not in ast.unparse(call)):
                    found.append(f"{statement.lineno}: {ast.unparse(call)}")
    return found


@pytest.mark.parametrize("path", sorted(Path(__file__).parent.glob("*.py")), ids=lambda path: path.name)
def test_assertions_wait(path):
    assert momentary_reads(path.read_text()) == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("assert page.locator('td').all_inner_texts() == ['1']", ["1: page.locator('td').all_inner_texts()"]),
        ("assert not page.locator('td').count()", ["1: page.locator('td').count()"]),
        ("assert 'a' in page.get_by_label('b').input_value()", ["1: page.get_by_label('b').input_value()"]),
        ("assert Video.objects.count() == text.count('.') == queues.count(dead=True)", []),
        ("expect(page.locator('td')).to_have_text(['1'])", []),
    ],
)
def test_momentary_read_is_found(code, found):
    assert momentary_reads(code) == found
