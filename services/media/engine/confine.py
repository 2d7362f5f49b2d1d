"""Confines this process: what it gives up, and how near it came to its limit of memory."""

import os
import re
import resource

from services.media.engine.limits import Confinement

COMPLAINTS = 1 << 18
"""Bytes that may be said on stderr."""
HEADROOM_MB = 64
"""More than libav asks for at once: a frame of the largest size, ten bits deep, with all its colour."""


def confine(confinement: Confinement, *, writes_file: bool = False) -> None:
    """Give up what the work doesn't need: memory, processor time, core dumps, files that aren't open, sockets.

    With no descriptor to be had, neither a file nor a socket can be opened, whatever a decoder is talked into.
    """
    memory = confinement.memory_mb << 20
    free = os.dup(0)
    os.close(free)
    limits = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_AS, memory), (resource.RLIMIT_NOFILE, free)]
    if not writes_file:
        limits.append((resource.RLIMIT_FSIZE, COMPLAINTS))  # what it says on stderr is a file of ours
    for kind, most in limits:
        resource.setrlimit(kind, (most, most))
    # Not the same for both, or the end would be a SIGKILL, which says nothing.
    resource.setrlimit(resource.RLIMIT_CPU, (confinement.cpu_seconds, confinement.cpu_seconds + 1))


class Memory:
    """The address space of this process: how much it was at most, and whether that came near the limit.

    A decoder that finds no memory may call the video damaged, or show a grey picture, and an encoder may name no
    reason; by then all may be free again. So what came near the limit is never believed, whatever its outcome.
    """

    def __init__(self) -> None:
        """Open what tells: after the confinement nothing can be opened."""
        self._status = os.open("/proc/self/status", os.O_RDONLY)

    def was_short(self, limit_mb: int) -> bool:
        """Return whether something may have been refused."""
        try:
            peak = re.search(rb"^VmPeak:\s*(\d+) kB$", os.pread(self._status, 4096, 0), re.MULTILINE)
        except (MemoryError, OSError):
            return True
        return peak is None or int(peak[1]) > (limit_mb - HEADROOM_MB) * 1024
