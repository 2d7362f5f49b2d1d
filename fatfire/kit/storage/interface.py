"""What any storage can do."""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Protocol

from fatfire.kit.errors import DomainError, TransientError

LEAST_PART_BYTES = 5 * 2**20
"""S3 refuses smaller parts, but for the last one."""
MOST_PARTS = 10_000


class StorageUnavailable(TransientError):
    """The storage doesn't answer, or is overloaded."""

    code = "storage_unavailable"


class ObjectMissing(DomainError):
    """The file isn't there."""

    status, code = 404, "file_missing"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an upload that has arrived; numbers begin with 1. `tag` is the storage's own name for its bytes."""

    number: int
    size: int
    tag: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A file; `modified_at` is aware."""

    key: str
    size: int
    modified_at: dt.datetime


@dataclass(frozen=True, slots=True)
class UploadForm:
    """An HTML form that sends one file: its `action`, and the hidden fields that come before the one named "file"."""

    action: str
    fields: dict[str, str]


class Storage(Protocol):
    """Files by their keys: paths of letters, digits, dots and dashes.

    Each call but those that sign addresses may raise StorageUnavailable, and NetworkInTransaction inside a transaction.
    """

    origin: str
    """Scheme, host and port of the addresses; empty where they are our own."""

    def begin_upload(self, key: str) -> str:
        """Begin to receive a file in parts; return the upload's id."""

    def part_url(self, key: str, upload_id: str, *, number: int, size: int, expires_s: int) -> str:
        """Return the address to which a part of exactly `size` bytes may be PUT; once more replaces it."""

    def uploaded_parts(self, key: str, upload_id: str) -> list[Part] | None:
        """Return the parts that have arrived, in order; None: the upload is over, whether a file came of it or not."""

    def complete_upload(self, key: str, upload_id: str, parts: Iterable[Part]) -> None:
        """Make the file of its parts. Repeatable.

        Raises:
            ObjectMissing: the upload is over, and has left no file.
        """

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Forget the upload and its parts. Repeatable."""

    def upload_form(self, key: str, *, most_bytes: int, return_to: str, expires_s: int) -> UploadForm:
        """Return the form that sends a whole file of at most `most_bytes`, for a browser that runs no script.

        The browser comes to `return_to` (absolute) afterwards.
        """

    def put(self, key: str, content: bytes, content_type: str) -> None:
        """Write a small file, in place of one that is there."""

    def put_file(self, key: str, file: IO[bytes], content_type: str) -> None:
        """Write a file of any size from its beginning, in place of one that is there."""

    def size(self, key: str) -> int:
        """Return the length in bytes.

        Raises:
            ObjectMissing: it isn't there.
        """

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return `length` bytes from `start` on; fewer where the file ends, none where it has ended before.

        Raises:
            ObjectMissing: it isn't there.
        """

    def read(self, key: str) -> bytes:
        """Return all of a small file.

        Raises:
            ObjectMissing: it isn't there.
        """

    def url(self, key: str, *, content_type: str, expires_s: int, file_name: str = "") -> str:
        """Return the address by which the file may be fetched, whole or by ranges, as this type.

        With `file_name` the browser saves it under that name instead of showing it.
        """

    def list_files(self, prefix: str) -> Iterator[Stored]:
        """Yield the files whose keys begin so."""

    def delete(self, keys: Iterable[str]) -> int:
        """Delete the files, those that are there; return how many keys were given."""
