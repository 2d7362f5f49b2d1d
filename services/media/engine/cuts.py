"""Where a video is cut: for equal work, at keyframes when they are near, and so that all workers end together."""

import heapq
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import accumulate, pairwise

from services.media.engine.index import Index

SHORTEST_SECONDS = 2
LONGEST_COST = 20.0
ROUNDS = 4
"""How many segments a worker takes one after another, unless one rule or another makes them longer."""
SNAP = 0.25
"""Share of a segment's length within which a keyframe is near."""


@dataclass(frozen=True)
class Work:
    """What there is to do, in seconds of one core, and by how many workers at once."""

    parallel: int
    startup: float
    """Before a segment's first frame."""
    frame: float
    """Decoding a frame and making all outputs of it."""
    decoding: float
    """The part of that which is decoding."""
    sound: float
    """All sound, which one worker makes before anything else."""


def choose_cuts(index: Index, seconds: float, work: Work) -> list[int]:
    """Return the number of each segment's first frame, 0 first, for a video so many seconds long."""
    return _ending_together(index, _cuts(index, _shares(len(index.times) * work.frame, seconds, work)), work)


def _shares(cost: float, seconds: float, work: Work) -> list[float]:
    """Return the parts of the whole that the segments have.

    Several rounds for each worker, unless segments would then be too short to be worth a start, or too long to be lost.
    The first segment has half the length, so that playback begins early; so have the last ones when there is more than
    one round, since they make up for what the others took too long.
    """
    each = min(LONGEST_COST, max(cost / (ROUNDS * work.parallel), work.startup))
    count = round(max(1.0, min(cost / each, seconds / SHORTEST_SECONDS)))
    if count < 3:
        return [1 / count] * count
    last = min(work.parallel, count // 3) if count > work.parallel else 0
    lengths = [0.5] + [1.0] * (count - 1 - last) + [0.5] * last
    return [length / sum(lengths) for length in lengths]


def _cuts(index: Index, shares: list[float]) -> list[int]:
    """Return the number of each segment's first frame: a keyframe when one is near, else the frame itself."""
    keys = _keys(index)
    cuts = [0]
    for before in accumulate(shares[:-1]):
        ideal = round(before * len(index.times))
        near = min(keys, key=lambda key: abs(key - ideal), default=ideal)
        cut = near if abs(near - ideal) <= SNAP * max(shares) * len(index.times) else ideal
        if cut > cuts[-1]:
            cuts.append(cut)
    return [cut for cut in cuts if cut < len(index.times)]


def _ending_together(index: Index, cuts: list[int], work: Work) -> list[int]:
    """Return the cuts, those between each worker's last segments moved so that all are expected to end at once.

    A worker takes the next segment when it is free. With one round there is nothing to make up for.
    """
    last = min(work.parallel, len(cuts) // 3)
    if len(cuts) <= work.parallel or last < 2:
        return cuts
    kept, begin = cuts[:-last], cuts[-last]
    free = [0.0] * work.parallel
    for took in (work.sound, *((end - start) * work.frame for start, end in pairwise([*kept, begin]))):
        heapq.heapreplace(free, free[0] + work.startup + took)
    free = sorted(free)[:last]
    left = (len(index.times) - begin) * work.frame
    while (end := (sum(free) + left) / len(free)) <= free[-1] + work.startup and len(free) > 1:
        free.pop()  # who is at work nearly as long has had its last segment
    ideals = accumulate((end - each) / work.frame for each in free[:-1])
    free_places = [*_keys(index), len(index.times)]
    moved = [_where_it_costs_least(free_places, round(begin + ideal), work) for ideal in ideals]
    return sorted({*kept, begin, *(cut for cut in moved if begin < cut < len(index.times))})


def _where_it_costs_least(free_places: list[int], ideal: int, work: Work) -> int:
    """Return the nearest place that costs no decoding, if a worker waits less for it than decoding for the ideal takes.

    Such places are keyframes, and the end: then there is no cut.
    """
    near = min(free_places, key=lambda place: abs(place - ideal))
    before = free_places[max(0, bisect_right(free_places, ideal) - 1)]
    return near if abs(near - ideal) * work.frame <= (ideal - before) * work.decoding else ideal


def _keys(index: Index) -> list[int]:
    """Return the numbers of the keyframes."""
    return [bisect_left(index.times, key) for key in index.keys]
