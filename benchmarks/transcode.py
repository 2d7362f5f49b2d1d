"""Transcoding by two workers at once against one ordinary run over the whole file: time, size, quality, bytes read.

The baseline is what one would write with PyAV: decode, encode with the same encoder and settings, mux with the sound
into one faststart MP4, in the threads that PyAV gives by default. `tuned` is the same run told to decode in as many
threads as libav likes, frame by frame: harder to beat, so it is reported beside the baseline. Ours plans, transcodes
segments and sound in confined child processes, two at a time, and puts them together. All are measured with everything,
from the start of a process on. Each round runs all three, every time in another order, and a ratio is the median of the
rounds' own: a shared machine's pace changes by a tenth within minutes. Quality is SSIM against the source, frame by
frame; around cuts it is compared a second time with a run that has keyframes at the same places, since a keyframe is
finer than what another run happens to have there. The last line is JSON, of the size that did worst in each figure.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import av
import av.filter
from av.video.frame import PictureType

from services.media.engine import forks, sandbox
from services.media.engine.plan import Plan, Rendition, Wanted
from services.media.engine.reader import FileSource
from services.media.engine.segment import SegmentResult
from services.media.engine.tracks import TracksResult

WORK = ROOT / ".data" / "benchmarks"
SIZES = {720: (1280, 720), 1080: (1920, 1080)}
MEGABITS = {720: 12, 1080: 20}
"""A second, as phones record at most; tenants send what these recorded. `--megabits` takes other sources."""
SEAM_FRAMES = 5
STARTUP_SECONDS = 0.1
"""What a worker costs here before its first frame: a fork, and opening the file. No queue brings it its work."""
RATE = Fraction(30000, 1001)


def make_source(size: int, seconds: int, megabits: int | None = None) -> Path:
    """Return a video with sound, moving patterns and some grain, made once."""
    bits = f"{megabits or MEGABITS[size]}M"
    path = WORK / f"source-{size}-{seconds}-{bits}.mp4"
    if path.exists():
        return path
    WORK.mkdir(parents=True, exist_ok=True)
    width, height = SIZES[size]
    pictures = generated(
        f"testsrc2=size={width}x{height}:rate={RATE}:duration={seconds}", "noise=alls=4:allf=t", "format=yuv420p"
    )
    sounds = generated(f"sine=frequency=440:beep_factor=4:sample_rate=48000:duration={seconds}:samples_per_frame=1024")
    options = {"preset": "superfast", "b": bits, "maxrate": bits, "bufsize": bits, "g": "120", "bf": "3"}
    with av.open(str(path.with_suffix(".part")), "w", format="mp4") as target:
        picture = target.add_stream("libx264", rate=RATE, options=options)
        picture.width, picture.height, picture.pix_fmt = width, height, "yuv420p"
        sound = target.add_stream("aac", rate=48000)
        for frame in pictures:
            frame.pict_type = 0
            target.mux(picture.encode(frame))
        target.mux(picture.encode(None))
        for frame in sounds:
            target.mux(sound.encode(frame))
        target.mux(sound.encode(None))
    path.with_suffix(".part").rename(path)
    return path


def generated(*filters: str):  # noqa: ANN201 - frames of either kind
    """Yield the frames that a row of filters makes, the first of which is their source."""
    graph = av.filter.Graph()
    nodes = [graph.add(*(part for part in each.partition("=")[::2] if part)) for each in filters]
    nodes.append(graph.add("abuffersink" if filters[0].startswith("sine") else "buffersink"))
    graph.link_nodes(*nodes).configure()
    while True:
        try:
            yield graph.pull()
        except (av.error.EOFError, av.error.BlockingIOError):
            return


def run_baseline(threads: str, source: str, target: str, keyframes: frozenset[int] = frozenset()) -> None:
    """Transcode the whole file in this process, in PyAV's default threads or in those of `tuned`.

    Args:
        keyframes: numbers of frames that are made keyframes beside those of the encoder's own choice.
    """
    with av.open(source) as given, av.open(target, "w", format="mp4", options={"movflags": "faststart"}) as made:
        video, audio = given.streams.video[0], given.streams.audio[0]
        if threads == "tuned":
            video.thread_type = "AUTO"
        rate = Fraction(video.average_rate.numerator, video.average_rate.denominator)
        options = {"preset": "veryfast", "crf": "23", "g": str(round(2 * rate)), "bf": "2", "sc_threshold": "0"}
        picture = made.add_stream("libx264", rate=rate, options=options)
        picture.width, picture.height, picture.pix_fmt = video.width, video.height, "yuv420p"
        picture.codec_context.time_base = Fraction(video.time_base.numerator, video.time_base.denominator)
        sound = made.add_stream("aac", rate=48000, layout="stereo")
        sound.bit_rate = 128_000
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=48000, frame_size=1024)
        number = -1
        for frame in given.decode(video, audio):
            if isinstance(frame, av.VideoFrame):
                number += 1
                frame.pict_type = PictureType.I if number in keyframes else PictureType.NONE
                made.mux(picture.encode(frame))
            else:
                made.mux([packet for each in resampler.resample(frame) for packet in sound.encode(each)])
        made.mux(picture.encode(None))
        made.mux([packet for each in resampler.resample(None) for packet in sound.encode(each)])
        made.mux(sound.encode(None))


@dataclass
class Ours:
    """One run of ours."""

    plan: Plan
    results: list[SegmentResult]
    tracks: TracksResult
    wall: float
    first_playable: float
    files: dict[str, bytes] = field(default_factory=dict)


def run_ours(path: Path, target: Path, size: int, workers: int = 2) -> Ours:
    """Transcode by child processes, as many at a time as there are workers."""
    started = time.perf_counter()
    wanted = Wanted((Rendition(f"{size}p", size),), parallel=workers, startup_seconds=STARTUP_SECONDS)
    files: dict[str, bytes] = {}
    with FileSource(path) as source, ThreadPoolExecutor(workers) as pool:
        prepared = sandbox.prepare(source=source, wanted=wanted)
        media, plan = prepared.media, prepared.plan
        assert plan is not None

        def segment(number: int) -> tuple[SegmentResult, float]:
            result = sandbox.transcode_segment(source=source, plan=plan, number=number, save=files.__setitem__)
            return result, time.perf_counter() - started

        def sound() -> tuple[TracksResult, float]:
            result = sandbox.transcode_tracks(source=source, media=media, wanted=wanted, save=files.__setitem__)
            return result, time.perf_counter() - started

        first = pool.submit(segment, 0)
        tracks = pool.submit(sound)
        rest: list[Future[tuple[SegmentResult, float]]] = [
            pool.submit(segment, k) for k in range(1, len(plan.segments))
        ]
        done = [each.result() for each in [first, *rest]]
        heard, heard_at = tracks.result()
        with target.open("w+b") as file:
            results = [result for result, _ in done]
            sandbox.assemble(
                plan=plan, output=f"{size}p", results=results, audio=heard.audio, load=files.__getitem__, file=file
            )
    wall = time.perf_counter() - started
    forks.stop()  # and its processor time is known
    return Ours(plan, results, heard, wall, max(done[0][1], heard_at), files)


def cpu_of_children() -> float:
    """Return the processor time of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def similarities(source: Path, made: Path) -> tuple[list[float], list[Fraction]]:
    """Return each frame's SSIM against the source, and the times of what was made."""
    graph = av.filter.Graph()
    graph.threads = 1
    with av.open(str(made)) as one, av.open(str(source)) as other:
        sides = (one.streams.video[0], other.streams.video[0])
        buffers = [graph.add_buffer(template=each, time_base=Fraction(1, 1000)) for each in sides]
        compare, sink = graph.add("ssim"), graph.add("buffersink")
        for number, buffer in enumerate(buffers):
            buffer.link_to(compare, 0, number)
        compare.link_to(sink)
        graph.configure()
        values, times = [], []
        for number, (mine, theirs) in enumerate(zip(one.decode(video=0), other.decode(video=0), strict=True)):
            times.append(mine.pts * Fraction(mine.time_base.numerator, mine.time_base.denominator))
            for buffer, frame in zip(buffers, (mine, theirs), strict=True):
                frame.pts, frame.time_base = number, Fraction(1, 1000)
                buffer.push(frame)
            values.append(float(graph.vpull().metadata["lavfi.ssim.All"]))
    return values, times


def cuts_of(plan: Plan) -> list[int]:
    """Return the numbers of the frames that segments begin with, but for the first."""
    return list(accumulate(segment.frames for segment in plan.segments[:-1]))


def at_seams(plan: Plan, values: list[float]) -> float:
    """Return the mean of the values of frames near a cut."""
    near = [range(cut - SEAM_FRAMES, min(cut + SEAM_FRAMES, len(values))) for cut in cuts_of(plan)]
    return statistics.mean(values[k] for numbers in near for k in numbers)


def rounded(runs: dict[str, list[float]]) -> dict[str, list[float]]:
    """Return the figures as they are told."""
    return {name: [round(each, 1) for each in values] for name, values in runs.items()}


def ratio(runs: dict[str, list[float]], baseline: str) -> float:
    """Return the median of what ours took for each second of the baseline in the same round."""
    return statistics.median(ours / theirs for ours, theirs in zip(runs["ours"], runs[baseline], strict=True))


def measure(size: int, seconds: int, rounds: int, megabits: int | None) -> dict[str, float]:
    """Return the figures of one size."""
    source = make_source(size, seconds, megabits)
    walls: dict[str, list[float]] = {"plain": [], "ours": [], "tuned": []}
    cpus: dict[str, list[float]] = {"plain": [], "ours": [], "tuned": []}
    playable = []
    with tempfile.TemporaryDirectory() as folder:
        plain, mine, tuned = (Path(folder, f"{name}.mp4") for name in walls)
        for number in range(rounds):
            for target in ((plain, mine, tuned), (mine, tuned, plain), (tuned, mine, plain))[number % 3]:
                before, own, started = cpu_of_children(), time.process_time(), time.perf_counter()
                if target is mine:
                    run = run_ours(source, mine, size)
                    playable.append(run.first_playable / run.wall)
                else:
                    command = [sys.executable, __file__, "--baseline", target.stem, str(source), str(target)]
                    subprocess.run(command, check=True)
                walls[target.stem].append(time.perf_counter() - started)
                cpus[target.stem].append(cpu_of_children() - before + time.process_time() - own)
        sizes = plain.stat().st_size, mine.stat().st_size
        (plain_values, plain_times), (values, times) = similarities(source, plain), similarities(source, mine)
        run_baseline("tuned", str(source), str(tuned), frozenset(cuts_of(run.plan)))
        same_keyframes, _ = similarities(source, tuned)
    assert len(times) == len(plain_times) == sum(result.frames for result in run.results)
    overall = statistics.mean(values) - statistics.mean(plain_values)
    figures = {
        "wall_ratio": ratio(walls, "plain"),
        "cpu_ratio": ratio(cpus, "plain"),
        "wall_ratio_tuned": ratio(walls, "tuned"),
        "cpu_ratio_tuned": ratio(cpus, "tuned"),
        "size_ratio": sizes[1] / sizes[0],
        "ssim_delta": overall,
        "ssim_delta_seams": at_seams(run.plan, values) - at_seams(run.plan, plain_values),
        "ssim_delta_seams_same_keyframes": at_seams(run.plan, values) - at_seams(run.plan, same_keyframes),
        "bytes_ratio": sum(result.fetched_bytes for result in run.results) / source.stat().st_size,
        "first_playable_over_total": statistics.median(playable),
        "worker_memory_mb": max(result.memory_mb for result in [*run.results, run.tracks]),
        "frames_equal": times == plain_times,
    }
    print(
        f"{size}p, {seconds} s, {len(run.plan.segments)} segments, source {source.stat().st_size / 1e6:.1f} MB, SSIM"
        f" {statistics.mean(values):.4f}; seconds {rounded(walls)}; processor seconds {rounded(cpus)}"
    )
    print({name: round(value, 5) for name, value in figures.items()})
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--sizes", type=int, nargs="+", default=[720, 1080])
    parser.add_argument("--megabits", type=int, help="of the source, a second; else as much as phones record")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--baseline", nargs=3, metavar=("THREADS", "SOURCE", "TARGET"))
    arguments = parser.parse_args()
    if arguments.baseline:
        run_baseline(*arguments.baseline)
        return
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    measured = [measure(size, arguments.seconds, arguments.rounds, arguments.megabits) for size in arguments.sizes]
    worst = {name: max((each[name] for each in measured), key=abs) for name in measured[0] if name != "size_ratio"}
    worst["size_ratio"] = max((each["size_ratio"] for each in measured), key=lambda ratio: abs(ratio - 1))
    worst["frames_equal"] = all(each["frames_equal"] for each in measured)
    print(json.dumps({name: value if name == "frames_equal" else round(value, 5) for name, value in worst.items()}))


if __name__ == "__main__":
    main()
