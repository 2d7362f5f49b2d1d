"""A job's steps as a drawing: boxes in columns, each column after those it waits for, and the lines between."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.jobs.jobs import JobKind
from services.jobs.models import JobStep

BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y = 196, 52, 40, 16
"""In the drawing's units, which are pixels at full size."""


@dataclass(frozen=True, slots=True)
class Box:
    """A step at its place."""

    step: JobStep
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Graph:
    """The drawing: its size, the boxes, and each line as the path of an SVG."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[str, ...]
    box_width: int = BOX_WIDTH
    box_height: int = BOX_HEIGHT


def graph_of(kind: str, steps: Sequence[JobStep]) -> Graph:
    """Return the drawing of the steps of a job of the `kind`; of a kind that this release doesn't know, without lines.

    A line goes from a step to each that waits for it.
    """
    known = {each.name: each for each in JobKind.all()}.get(kind)
    after = {step.name: step.after for step in known.steps} if known else {}
    columns: dict[str, int] = {}
    places: dict[str, Box] = {}
    filled: dict[int, int] = {}
    for step in steps:  # in their order, in which what is waited for comes first
        waits_for = [name for name in after.get(step.name, ()) if name in columns]
        column = columns[step.name] = 1 + max((columns[name] for name in waits_for), default=-1)
        row = filled.get(column, 0)
        filled[column] = row + 1
        places[step.name] = Box(step, column * (BOX_WIDTH + GAP_X), row * (BOX_HEIGHT + GAP_Y))
    lines = [
        _line(places[name], places[step.name]) for step in steps for name in after.get(step.name, ()) if name in places
    ]
    return Graph(
        width=max(len(filled) * (BOX_WIDTH + GAP_X) - GAP_X, 0),
        height=max(max(filled.values(), default=0) * (BOX_HEIGHT + GAP_Y) - GAP_Y, 0),
        boxes=tuple(places.values()),
        lines=tuple(lines),
    )


def _line(start: Box, end: Box) -> str:
    """Return a curve from the right of one box to the left of the other."""
    x1, y1, x2, y2 = start.x + BOX_WIDTH, start.y + BOX_HEIGHT // 2, end.x, end.y + BOX_HEIGHT // 2
    return f"M{x1} {y1}C{x1 + GAP_X // 2} {y1} {x2 - GAP_X // 2} {y2} {x2} {y2}"
