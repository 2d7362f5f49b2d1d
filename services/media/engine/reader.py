"""Reads a source by ranges, as the file that libav wants."""

import io
import os
from collections import OrderedDict
from pathlib import Path
from typing import Protocol, Self, override

from services.media.engine.refusal import Reason, Refused

BLOCK = 64 * 1024
LARGEST_READ = 64 * BLOCK
KEPT_BLOCKS, KEPT_HEADER_BLOCKS = 128, 1024


class Source(Protocol):
    """Bytes that can be read by range: a file, or an object in storage."""

    @property
    def size(self) -> int:
        """Length in bytes."""
        ...

    def read_range(self, start: int, length: int) -> bytes:
        """Return exactly the bytes from `start` on; fewer mean that the source ends there. May raise its own errors."""
        ...


class FileSource:
    """A file on this machine."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self.size = os.fstat(self._file.fileno()).st_size

    def read_range(self, start: int, length: int) -> bytes:
        """Return the bytes from `start` on."""
        return os.pread(self._file.fileno(), length, start)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()


class Reader(io.RawIOBase):
    """A seekable file over a source, read in blocks.

    A read that follows the one before fetches twice as much as that did, up to 4 MiB, but never beyond `useful_until`:
    few requests in a long run, and few bytes too many around a seek. The last 8 MiB are kept.

    With `blank`, what isn't kept reads as zeros and is never fetched: enough for a container whose header lists
    every frame.
    """

    def __init__(self, source: Source, *, most_bytes: int | None = None) -> None:
        super().__init__()
        self.size = source.size
        self.useful_until = source.size
        self.fetched_bytes = 0
        self.requests = 0
        self.kept_blocks = KEPT_BLOCKS
        self.blank = False
        self._source = source
        self._most_bytes = most_bytes if most_bytes is not None else 2 * source.size + (16 << 20)
        self._position = 0
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._next_block = -1
        self._blocks_at_once = 1

    @override
    def readable(self) -> bool:
        """Return True."""
        return True

    @override
    def seekable(self) -> bool:
        """Return True."""
        return True

    @override
    def tell(self) -> int:
        """Return where the next read begins."""
        return self._position

    @override
    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to where the next read shall begin."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    @override
    def read(self, length: int = -1) -> bytes:
        """Return up to `length` bytes, at most to the end of a block.

        Raises:
            Refused: more was read than is sensible, or the source is shorter than it said.
        """
        if self._position >= self.size or length == 0:
            return b""
        number, offset = divmod(self._position, BLOCK)
        block = self._kept.get(number)
        if block is None and self.blank:
            available = min(BLOCK, self.size - number * BLOCK) - offset
            content = bytes(available if length < 0 else min(length, available))
        else:
            block = self._fetch(number) if block is None else block
            content = block[offset:] if length < 0 else block[offset : offset + length]
        self._position += len(content)
        return content

    def _fetch(self, number: int) -> bytes:
        self._blocks_at_once = min(2 * self._blocks_at_once, LARGEST_READ // BLOCK) if number == self._next_block else 1
        start = number * BLOCK
        useful = -(-self.useful_until // BLOCK) - number
        wanted = max(1, min(self._blocks_at_once, useful))
        for ahead in range(1, wanted):
            if number + ahead in self._kept:
                wanted = ahead
                break
        length = min(wanted * BLOCK, self.size - start)
        if self.fetched_bytes + length > self._most_bytes:
            raise Refused(Reason.TOO_MANY_READS, f"more than {self._most_bytes} bytes of {self.size}")
        content = self._source.read_range(start, length)
        if len(content) != length:
            raise Refused(Reason.TRUNCATED, f"{len(content)} of {length} bytes at {start}")
        self.fetched_bytes += length
        self.requests += 1
        self._next_block = number + wanted
        for ahead in range(wanted):
            self._kept[number + ahead] = content[ahead * BLOCK : (ahead + 1) * BLOCK]
        while len(self._kept) > self.kept_blocks:
            self._kept.popitem(last=False)
        return self._kept[number]
