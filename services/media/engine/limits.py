"""What a video, and the work on it, may be at most."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What a video may be at most; a tenant's plan may lower or raise `bytes` and `seconds`."""

    bytes: int = 20 * 2**30
    seconds: int = 4 * 3600
    pixels: int = 4096 * 2304
    """Width times height of a frame: a little above 4K of either kind."""
    streams: int = 32
    frames_per_second: int = 250
    frames: int = 2_000_000


@dataclass(frozen=True)
class Confinement:
    """What the child process of one piece of work may use at most."""

    memory_mb: int = 3072
    """Address space, not resident memory: libraries and their heaps reserve more than they touch."""
    cpu_seconds: int = 900
    wall_seconds: float = 900.0
    read_bytes: int | None = None
    """What may be read from the source in all; None: twice its size and 16 MiB."""
    saved_bytes: int = 4 << 30
    """What may be saved in all."""


USUAL_LIMITS = Limits()
USUAL = Confinement()
QUICK = Confinement(cpu_seconds=60, wall_seconds=120.0)
"""For work that looks at little: inspection, plan, poster."""
