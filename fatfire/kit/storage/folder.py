"""A folder of this machine as storage: what a laptop and the tests have. fatfire/web/files.py serves its addresses."""

import datetime as dt
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from django.core import signing
from django.urls import reverse

from fatfire.kit import clock
from fatfire.kit.http import refuse_in_transaction
from fatfire.kit.storage.interface import ObjectMissing, Part, Stored, UploadForm

_SALT = "fatfire.kit.storage"
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
CHUNK = 1 << 20


class Expired(Exception):
    """The address is no longer good, or never was."""


class TooLarge(Exception):
    """More or fewer bytes came than the address is good for."""


class Folder:
    """Files under `root`. A file appears whole or not at all: it is written beside its place, and moved there."""

    origin = ""

    def __init__(self, root: Path) -> None:
        self._files, self._uploads = root / "files", root / "uploads"

    def begin_upload(self, key: str) -> str:
        """Begin to receive a file in parts."""
        refuse_in_transaction()
        self._path(key)
        upload_id = secrets.token_hex(16)
        (self._uploads / upload_id).mkdir(parents=True)
        return upload_id

    def part_url(self, key: str, upload_id: str, *, number: int, size: int, expires_s: int) -> str:
        """Return the address of a part."""
        what = {"do": "part", "key": key, "upload": upload_id, "number": number, "size": size}
        return _address(what, expires_s)

    def uploaded_parts(self, key: str, upload_id: str) -> list[Part] | None:
        """Return the parts that have arrived."""
        refuse_in_transaction()
        folder = self._upload(upload_id)
        if not folder.is_dir():
            return None
        names = sorted(int(path.name) for path in folder.glob("*") if path.name.isdigit())
        return [Part(name, (folder / str(name)).stat().st_size, str(name)) for name in names]

    def complete_upload(self, key: str, upload_id: str, parts: Iterable[Part]) -> None:
        """Make the file of its parts."""
        refuse_in_transaction()
        folder = self._upload(upload_id)
        if not folder.is_dir():
            self.size(key)
            return
        with _Written(self._path(key)) as file:
            for part in parts:
                with (folder / str(part.number)).open("rb") as source:
                    shutil.copyfileobj(source, file, CHUNK)
        shutil.rmtree(folder)

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Forget the upload."""
        refuse_in_transaction()
        shutil.rmtree(self._upload(upload_id), ignore_errors=True)

    def upload_form(self, key: str, *, most_bytes: int, return_to: str, expires_s: int) -> UploadForm:
        """Return the form that sends a file."""
        what = {"do": "whole", "key": key, "most": most_bytes, "return_to": return_to}
        return UploadForm(_address(what, expires_s), {})

    def put(self, key: str, content: bytes, content_type: str) -> None:
        """Write a small file; its type is said by who fetches it."""
        refuse_in_transaction()
        with _Written(self._path(key)) as file:
            file.write(content)

    def put_file(self, key: str, file: IO[bytes], content_type: str) -> None:
        """Write a file of any size."""
        refuse_in_transaction()
        file.seek(0)
        with _Written(self._path(key)) as target:
            shutil.copyfileobj(file, target, CHUNK)

    def size(self, key: str) -> int:
        """Return the length in bytes."""
        refuse_in_transaction()
        try:
            return self._path(key).stat().st_size
        except FileNotFoundError:
            raise ObjectMissing from None

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return a range."""
        refuse_in_transaction()
        try:
            with self._path(key).open("rb") as file:
                return os.pread(file.fileno(), length, start)
        except FileNotFoundError:
            raise ObjectMissing from None

    def read(self, key: str) -> bytes:
        """Return all of a small file."""
        return self.read_range(key, 0, self.size(key))

    def url(self, key: str, *, content_type: str, expires_s: int, file_name: str = "") -> str:
        """Return the address of a file."""
        return _address({"do": "get", "key": key, "type": content_type, "name": file_name}, expires_s)

    def list_files(self, prefix: str) -> Iterator[Stored]:
        """Yield the files whose keys begin so."""
        refuse_in_transaction()
        folder = self._files / prefix.rpartition("/")[0]
        for path in sorted(folder.rglob("*")):
            key = path.relative_to(self._files).as_posix()
            if key.startswith(prefix) and _KEY.fullmatch(key) and path.is_file():
                is_at = path.stat()
                yield Stored(key, is_at.st_size, dt.datetime.fromtimestamp(is_at.st_mtime, dt.UTC))

    def delete(self, keys: Iterable[str]) -> int:
        """Delete the files, and the folders that this leaves empty."""
        refuse_in_transaction()
        count = 0
        for count, key in enumerate(keys, 1):  # noqa: B007  # the count is what is left of it
            path = self._path(key)
            path.unlink(missing_ok=True)
            for parent in path.relative_to(self._files).parents:
                try:
                    (self._files / parent).rmdir()
                except OSError:  # not empty, or gone
                    break
        return count

    # For the view that serves the addresses.

    def path(self, key: str) -> Path:
        """Return the file's place.

        Raises:
            ObjectMissing: it isn't there.
        """
        path = self._path(key)
        if not path.is_file():
            raise ObjectMissing
        return path

    def receive_part(self, upload_id: str, number: int, size: int, content: IO[bytes]) -> str:
        """Keep a part that a browser sends; return its tag.

        Raises:
            ObjectMissing: the upload is over.
            TooLarge: it isn't of the promised size.
        """
        folder = self._upload(upload_id)
        if not folder.is_dir():
            raise ObjectMissing
        with _Written(folder / str(number)) as file:
            _copy(content, file, least=size, most=size)
        return hashlib.sha256(f"{upload_id}/{number}".encode()).hexdigest()[:16]

    def receive_whole(self, key: str, most_bytes: int, content: IO[bytes]) -> None:
        """Keep a file that a form sends.

        Raises:
            TooLarge: it is empty, or too large.
        """
        with _Written(self._path(key)) as file:
            _copy(content, file, least=1, most=most_bytes)

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            msg = f"{key!r} can't be a key"
            raise ValueError(msg)
        return self._files / key

    def _upload(self, upload_id: str) -> Path:
        if not re.fullmatch(r"[0-9a-f]{32}", upload_id):
            msg = "no id of an upload"
            raise ValueError(msg)
        return self._uploads / upload_id


def signed(token: str) -> dict[str, Any]:
    """Return what an address is good for.

    Raises:
        Expired: it is too old, or isn't ours.
    """
    try:
        what: dict[str, Any] = signing.loads(token, salt=_SALT)
    except signing.BadSignature:
        raise Expired from None
    if what["until"] <= clock.now().timestamp():
        raise Expired
    return what


def _address(what: dict[str, Any], expires_s: int) -> str:
    until = int(clock.now().timestamp()) + expires_s
    return reverse("file", args=[signing.dumps({**what, "until": until}, salt=_SALT)])


def _copy(source: IO[bytes], target: IO[bytes], *, least: int, most: int) -> None:
    copied = 0
    while chunk := source.read(CHUNK):
        copied += len(chunk)
        if copied > most:
            raise TooLarge
        target.write(chunk)
    if copied < least:
        raise TooLarge


class _Written:
    """A file while it is written: moved to its place at the end, and gone where an error comes between."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._draft = path.parent / f".{path.name}.{secrets.token_hex(4)}"

    def __enter__(self) -> IO[bytes]:
        while True:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._file = self._draft.open("wb")
            except FileNotFoundError:  # the folder was left empty by a deletion, and went between the two
                continue
            return self._file

    def __exit__(self, error: object, *_: object) -> None:
        self._file.close()
        if error:
            self._draft.unlink()
        else:
            self._draft.replace(self._path)
