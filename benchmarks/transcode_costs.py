"""What decoding and encoding cost on this machine: the figures of `services/media/engine/cost.py`, each in one thread.

Every codec decodes the same pictures at two rates; the line through both tells what a million pixels and a megabyte
cost. The last line is JSON: milliseconds a million pixels, and for decoders a megabyte.
"""

import itertools
import json
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import av

from benchmarks.transcode import generated

FRAMES, WIDTH, HEIGHT = 90, 1280, 720
MEGAPIXELS = WIDTH * HEIGHT / 1e6
ENCODERS = {
    "h264": ("libx264", {"preset": "superfast"}, "crf", ("18", "36")),
    "hevc": ("libx265", {"preset": "ultrafast", "x265-params": "log-level=error"}, "crf", ("18", "36")),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "b": "0"}, "crf", ("15", "50")),
    "libdav1d": ("libsvtav1", {"preset": "12"}, "crf", ("15", "50")),
    "mpeg2video": ("mpeg2video", {}, "b", ("40000000", "4000000")),
    "mpeg4": ("mpeg4", {}, "b", ("40000000", "4000000")),
}
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium")


def encode(path: Path, encoder: str, options: dict[str, str], frames: list[av.VideoFrame]) -> float:
    """Write the frames; return the processor time that encoding took."""
    with av.open(str(path), "w", format="matroska") as target:
        stream = target.add_stream(encoder, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        started = time.process_time()
        for number, frame in enumerate(frames):
            frame.pts, frame.pict_type = number, 0
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
        return time.process_time() - started


def decode(path: Path) -> tuple[float, float]:
    """Return the processor seconds and megabytes of a frame."""
    size = frames = 0
    with av.open(str(path)) as source:
        stream = source.streams.video[0]
        stream.thread_type, stream.thread_count = "NONE", 1
        started = time.process_time()
        for packet in source.demux(stream):
            size += packet.size
            frames += len(stream.decode(packet))
        return (time.process_time() - started) / frames, size / 1e6 / frames


def main() -> None:
    """Measure and print."""
    patterns = f"testsrc2=size={WIDTH}x{HEIGHT}:rate=30:duration={FRAMES / 30}"
    frames = list(generated(patterns, "noise=alls=4:allf=t", "format=yuv420p"))
    figures: dict[str, dict[str, list[float]]] = {"decode": {}, "encode": {}}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "video")
        for codec, (encoder, options, rate, values) in ENCODERS.items():
            points = []
            for value in values:
                encode(path, encoder, {**options, rate: value}, frames)
                points.append(min(decode(path) for _ in range(3)))
            (slow, large), (fast, small) = points
            per_megabyte = (slow - fast) / (large - small)
            figures["decode"][codec] = [
                round(1000 * (fast - per_megabyte * small) / MEGAPIXELS, 2),
                round(1000 * per_megabyte, 1),
            ]
            rates = [round(240 * megabytes, 1) for _, megabytes in points]
            print(f"{codec}: {rates} Mbit/s, {[round(1000 * seconds, 2) for seconds, _ in points]} ms a frame")
        for preset, _ in itertools.product(PRESETS, range(2)):
            took = encode(path, "libx264", {"preset": preset, "crf": "23", "threads": "1", "bf": "2"}, frames)
            figures["encode"].setdefault(preset, []).append(round(1000 * took / FRAMES / MEGAPIXELS, 1))
    print(
        json.dumps({"decode": figures["decode"], "encode": {each: min(two) for each, two in figures["encode"].items()}})
    )


if __name__ == "__main__":
    main()
