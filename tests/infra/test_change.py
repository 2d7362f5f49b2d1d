"""Converging: in order, each on what the one before left; a plan changes nothing."""

from dataclasses import dataclass, field

import pytest

from infra.change import Change, converge, converge_abreast, difference


@dataclass
class Light:
    """A thing that should be on."""

    name: str
    on: bool = False
    needs: "Light | None" = None
    broken: bool = False
    switched: list[str] = field(default_factory=list)

    def changes(self):
        if not self.on and (self.needs is None or self.needs.on):
            yield Change(self.name, "off → on", self._switch)

    def _switch(self):
        if self.broken:
            raise RuntimeError(self.name)
        self.on = True
        self.switched.append(self.name)


def test_a_later_resource_sees_what_an_earlier_one_has_become():
    said, first = [], Light("first")
    second = Light("second", needs=first)

    assert converge([first, second], plan=False, say=said.append) == 2
    assert said == ["  first: off → on", "  second: off → on"]
    assert converge([first, second], plan=False, say=said.append) == 0


def test_a_plan_says_what_it_would_do_and_does_nothing():
    said, light = [], Light("light")

    assert converge([light], plan=True, say=said.append) == 1
    assert (said, light.on) == (["  light: off → on"], False)


def test_what_is_done_abreast_is_brought_to_its_end_before_an_error_is_raised():
    lights = [Light("one"), Light("two", broken=True), Light("three")]

    with pytest.raises(RuntimeError, match="two"):
        converge_abreast(lights, plan=False, say=lambda _: None)

    assert [light.on for light in lights] == [True, False, True]


@pytest.mark.parametrize(
    ("wanted", "found", "says"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, ""),
        ({"a": 1}, {"a": 2}, "a 2 → 1"),
        ({"a": 1, "b": [2]}, {}, "a unset → 1, b unset → [2]"),
    ],
)
def test_a_difference_is_told_in_words(wanted, found, says):
    assert difference(wanted, found) == says
