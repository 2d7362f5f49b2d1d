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
"""Share of the longest segment within which a keyframe is near."""


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


@dataclass(frozen=True)
class _Video:
    frames: int
    keys: list[int]
    """The numbers of the keyframes."""

    def nearest_key(self, frame: int) -> int:
        """Return the number of the nearest keyframe; the beginning's where there is none."""
        place = bisect_left(self.keys, frame)
        return min(self.keys[max(0, place - 1) : place + 1], key=lambda key: abs(key - frame), default=0)

    def decoded_before(self, cut: int) -> int:
        """Return how many frames are decoded only to begin there."""
        place = bisect_right(self.keys, cut)
        return cut - (self.keys[place - 1] if place else 0) if cut < self.frames else 0


def choose_cuts(index: Index, seconds: float, work: Work) -> list[int]:
    """Return the number of each segment's first frame, 0 first, for a video so many seconds long."""
    video = _Video(len(index.times), [bisect_left(index.times, key) for key in index.keys])
    cuts = _cuts(video, _shares(video.frames * work.frame, seconds, work))
    if len(cuts) <= work.parallel:
        return cuts  # one round: there is nothing to make up for
    tails = range(max(1, len(cuts) - work.parallel * 3 // 2), len(cuts))
    ways = [cuts, *(_ending_together(video, cuts[:kept], cuts[kept], work) for kept in tails)]
    return min(ways, key=lambda way: max(_free_after(video, way, video.frames, work)))


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


def _cuts(video: _Video, shares: list[float]) -> list[int]:
    """Return the number of each segment's first frame: that of a keyframe when one is near, else the frame itself."""
    cuts = [0]
    for before in accumulate(shares[:-1]):
        ideal = round(before * video.frames)
        key = video.nearest_key(ideal)
        cut = key if abs(key - ideal) <= SNAP * max(shares) * video.frames else ideal
        if cut > cuts[-1]:
            cuts.append(cut)
    return [cut for cut in cuts if cut < video.frames]


def _ending_together(video: _Video, kept: list[int], begin: int, work: Work) -> list[int]:
    """Return the kept cuts, and such from `begin` on that all workers are expected to end at once."""
    free = sorted(_free_after(video, kept, begin, work))
    left = (video.frames - begin) * work.frame
    while (end := (sum(free) + left) / len(free)) <= free[-1] + work.startup and len(free) > 1:
        free.pop()  # who is at work nearly as long has had its last segment
    ideals = accumulate((end - each) / work.frame for each in free[:-1])
    moved = [_where_it_costs_least(video, round(begin + ideal), work) for ideal in ideals]
    return sorted({*kept, begin, *(cut for cut in moved if begin < cut < video.frames)})


def _free_after(video: _Video, cuts: list[int], end: int, work: Work) -> list[float]:
    """Return when each worker has ended, if the last of the segments goes to `end`: who is free takes the next."""
    free = [0.0] * work.parallel
    heapq.heapreplace(free, work.startup + work.sound)
    for cut, next_cut in pairwise([*cuts, end]):
        took = (next_cut - cut) * work.frame + video.decoded_before(cut) * work.decoding
        heapq.heapreplace(free, free[0] + work.startup + took)
    return free


def _where_it_costs_least(video: _Video, ideal: int, work: Work) -> int:
    """Return where a segment ends: there, at a keyframe, or at the video's end, where no cut is.

    What workers wait for each other is weighed against what one decodes before the cut.
    """
    return min(
        (ideal, video.nearest_key(ideal), video.frames),
        key=lambda place: abs(place - ideal) * work.frame + video.decoded_before(place) * work.decoding,
    )
