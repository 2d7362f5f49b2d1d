"""What the published serverless transcoder's videos would take here: a model, and how far it is from real runs.

The engine's own plan cuts each video; workers' times come from the processor time per frame measured now on this
machine, and from Lambda's published facts. The model is checked against real runs of one and two workers, of which it
knows only what a run of another video cost. The last line is JSON: `rows`, and `model_error`, the greatest relative
error of those predictions.

Published figures: domain table of the reference product (seconds on Lambda, and on a MacBook Pro i7).
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.transcode import Ours, make_source, run_ours
from services.media.engine.index import Index
from services.media.engine.media import Color, Media, Video
from services.media.engine.plan import LADDER, Plan, Wanted, make_plan


@dataclass(frozen=True)
class Lambda:
    """What is assumed of AWS. Sources: AWS's Lambda and S3 pages, read 2026-11-23, unless said otherwise."""

    memory_mb: int = 1769
    """The memory that comes with exactly one vCPU: one thread encodes one segment."""
    core: float = 1.0
    """Speed of that vCPU against a core of this machine: not measured."""
    cold_seconds: float = 2.5
    """First start of the media function: assumed, for a zip of 53 MB with PyAV and Django."""
    invoke_seconds: float = 0.015
    """Between two asynchronous invocations from one planner: assumed."""
    parallel: int = 500
    """Workers that one video may have, of an account's 1,000."""
    bytes_per_second: float = 60e6
    """Between S3 and one function: assumed."""
    usd_per_gb_second: float = 0.0000166667
    usd_per_request: float = 0.0000002


@dataclass(frozen=True)
class Published:
    """A row of the published table."""

    name: str
    megabytes: int
    seconds: int
    width: int
    height: int
    published_s: int
    laptop_s: int


ROWS = (
    Published("34 MB MP4 0:43 1920x1080", 34, 43, 1920, 1080, 11, 18),
    Published("77 MB 6:49 2048x1152", 77, 409, 2048, 1152, 26, 78),
    Published("100 MB 59:56 1280x720", 100, 3596, 1280, 720, 86, 592),
    Published("350 MB 7:45 2560x1440", 350, 465, 2560, 1440, 35, 224),
    Published("420 MB MKV 1:02 3840x1606", 420, 62, 3840, 1606, 112, 101),
    Published("1 GB MKV 57:57 1280x718", 1024, 3477, 1280, 718, 185, 2367),
)
RATE = Fraction(30000, 1001)
KEYFRAME_SECONDS = 4
OUTPUT_BITS_PER_PIXEL = 0.09


def fitted(run: Ours) -> float:
    """Return the processor time that a run's segments took for each second of the engine's table."""
    return sum(result.cpu_seconds for result in run.results) / run.plan.cost


def list_schedule(jobs: list[float], workers: int) -> float:
    """Return when the last job ends if each worker takes the next one as soon as it is free."""
    free = [0.0] * workers
    for job in jobs:
        first = free.index(min(free))
        free[first] += job
    return max(free)


def predicted_here(plan: Plan, pace: float, overheads: dict[str, float], workers: int) -> float:
    """Return the predicted wall time of a run on this machine."""
    segments = [overheads["start"] + segment.cost * pace for segment in plan.segments]
    return (
        overheads["before"]
        + list_schedule([segments[0], overheads["sound"], *segments[1:]], workers)
        + overheads["after"]
    )


def predict(row: Published, pace: float, cloud: Lambda) -> dict[str, object]:
    """Return the model's figures for one published row: one rendition, as large as the source up to 1080 lines."""
    frames = round(row.seconds * RATE)
    size = row.megabytes * 1_000_000
    color = Color(matrix=1, range=1, transfer=1, primaries=1)
    video = Video(
        0,
        "h264",
        row.width,
        row.height,
        "yuv420p",
        0,
        Fraction(1),
        Fraction(1, 30000),
        RATE,
        0,
        color,
        interlaced=False,
    )
    is_indexed = "MKV" not in row.name
    media = Media("x", size, Fraction(row.seconds), is_indexed, makes_times=False, video=video, audio=(), captions=())
    times = tuple(1001 * k for k in range(frames))
    each = size // frames
    keys = times[:: round(KEYFRAME_SECONDS * RATE)]
    index = Index(times, tuple(each * k for k in range(frames)), (each,) * frames, keys, 1001, is_exact=True)
    pace /= cloud.core
    rendition = next(wish for wish in LADDER if wish.short_side and wish.short_side <= max(480, row.height))
    wanted = Wanted((rendition,), cloud.parallel, cloud.cold_seconds, pace)
    plan = make_plan(media, index, wanted)

    header = size * 0.01 if is_indexed else size  # without an index the first pass reads the whole file
    planning = cloud.cold_seconds + header / cloud.bytes_per_second
    fan_out = len(plan.segments) * cloud.invoke_seconds
    reading = 1.05 * size / len(plan.segments) / cloud.bytes_per_second
    segments = [pace * segment.cost + reading for segment in plan.segments]
    output = plan.outputs[0]
    made = output.width * output.height * frames * OUTPUT_BITS_PER_PIXEL / 8
    assembly = 2 * made / cloud.bytes_per_second
    waves = list_schedule([cloud.cold_seconds + segment for segment in segments], cloud.parallel)
    playable = planning + cloud.cold_seconds + segments[0]
    total = planning + fan_out + waves + assembly
    billed = planning + sum(segments) + len(segments) * cloud.cold_seconds + assembly + row.seconds / 60
    usd = billed * cloud.memory_mb / 1024 * cloud.usd_per_gb_second + (len(segments) + 3) * cloud.usd_per_request
    return {
        "name": row.name,
        "predicted_s": round(total, 1),
        "published_s": row.published_s,
        "laptop_s": row.laptop_s,
        "usd": round(usd, 4),
        "segments": len(plan.segments),
        "playable_s": round(playable, 1),
    }


def check(seconds: int, rounds: int) -> tuple[float, float]:
    """Return the fitted pace and the model's greatest error against runs of one and two workers."""
    learnt, judged = make_source(720, seconds), make_source(720, seconds * 2 // 3)
    errors = []
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "made.mp4")
        paces: list[float] = []
        for _ in range(rounds):
            for workers in (1, 2):
                # Learnt from a run just before, of as many workers: a machine that is shared isn't the same for long.
                run = run_ours(learnt, target, 720, workers)
                fit = fitted(run)
                inside = sum(result.wall_seconds for result in run.results) / sum(r.cpu_seconds for r in run.results)
                wall = fit * inside
                nothing = dict.fromkeys(("start", "before", "after", "sound"), 0.0)
                busy = predicted_here(run.plan, wall, nothing, workers)
                rest = max(0.0, run.wall - busy) / (len(run.plan.segments) / workers + 3)
                overheads = {"start": rest, "before": rest, "after": rest, "sound": rest}
                real = run_ours(judged, target, 720, workers)
                predicted = predicted_here(real.plan, wall, overheads, workers)
                errors.append((workers, predicted, real.wall))
                print(f"{workers} workers: predicted {predicted:.1f} s, took {real.wall:.1f} s")
                paces.append(fit)
    by_workers = [
        statistics.median(abs(predicted - took) / took for count, predicted, took in errors if count == workers)
        for workers in (1, 2)
    ]
    return statistics.median(paces), max(by_workers)


def main() -> None:
    """Measure, predict and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    pace, error = check(arguments.seconds, arguments.rounds)
    cloud = Lambda()
    print(f"seconds for each of the engine's table: {pace:.2f}; assumed: {cloud}")
    rows = [predict(row, pace, cloud) for row in ROWS]
    for row in rows:
        print(row)
    print(json.dumps({"rows": rows, "model_error": round(error, 4)}))


if __name__ == "__main__":
    main()
