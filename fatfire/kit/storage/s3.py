"""A bucket of S3 as storage. It is closed to the public: the addresses are signed with our own credentials."""

import contextlib
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import batched
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

from fatfire.kit import aws
from fatfire.kit.http import refuse_in_transaction
from fatfire.kit.storage.interface import ObjectMissing, Part, StorageUnavailable, Stored, UploadForm

if TYPE_CHECKING:
    from botocore.config import Config  # type: ignore[import-untyped]

_MISSING = {"404", "NoSuchKey", "NoSuchUpload", "NotFound"}
_DELETED_AT_ONCE = 1000
_PATIENCE_S = 60


@cache
def _config(name: str, origin: str) -> "Config":
    from botocore.config import Config

    # Signed for the regional host: the global one redirects, and a browser's policy names one origin alone.
    style = "virtual" if origin.startswith(f"https://{name}.") else "path"
    return Config(
        signature_version="s3v4",
        s3={"addressing_style": style, "us_east_1_regional_endpoint": "regional"},
        retries={"mode": "standard", "total_max_attempts": 3},
        request_checksum_calculation="when_required",  # a browser that PUTs by our address sends none
        max_pool_connections=20,
    )


@contextlib.contextmanager
def _talking() -> Iterator[None]:
    """Let a block speak to S3, and say in our words what goes wrong.

    Raises:
        NetworkInTransaction: a transaction is open in this thread.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

    refuse_in_transaction()
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        if error.response["Error"]["Code"] in _MISSING:
            raise ObjectMissing from None
        if status >= 500 or status == 429:
            raise StorageUnavailable from error
        raise
    except BotoCoreError as error:
        raise StorageUnavailable from error


class _Kept:
    """A file to be read: boto3 closes what it was given, and this only lets go of it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell

    def close(self) -> None:
        """Let go of it."""


class Bucket:
    """The files of a bucket. Holds no connection; make one freely."""

    def __init__(self, name: str, origin: str) -> None:
        self._name, self.origin = name, origin

    @property
    def _s3(self) -> Any:
        return aws.client("s3", patience_s=_PATIENCE_S, config=_config(self._name, self.origin))

    def begin_upload(self, key: str) -> str:
        """Begin to receive a file in parts."""
        with _talking():
            upload_id: str = self._s3.create_multipart_upload(Bucket=self._name, Key=key)["UploadId"]
        return upload_id

    def part_url(self, key: str, upload_id: str, *, number: int, size: int, expires_s: int) -> str:
        """Return the address of a part; its length is signed too."""
        what = {"Key": key, "UploadId": upload_id, "PartNumber": number, "ContentLength": size}
        return self._sign("upload_part", what, expires_s)

    def uploaded_parts(self, key: str, upload_id: str) -> list[Part] | None:
        """Return the parts that have arrived."""
        with contextlib.suppress(ObjectMissing), _talking():
            pages = self._s3.get_paginator("list_parts").paginate(Bucket=self._name, Key=key, UploadId=upload_id)
            found = [each for page in pages for each in page.get("Parts", ())]
            return [Part(each["PartNumber"], each["Size"], each["ETag"]) for each in found]
        return None

    def complete_upload(self, key: str, upload_id: str, parts: Iterable[Part]) -> None:
        """Make the file of its parts."""
        named = [{"PartNumber": part.number, "ETag": part.tag} for part in parts]
        try:
            with _talking():
                self._s3.complete_multipart_upload(
                    Bucket=self._name, Key=key, UploadId=upload_id, MultipartUpload={"Parts": named}
                )
        except ObjectMissing:  # completed before, perhaps
            self.size(key)

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Forget the upload."""
        with contextlib.suppress(ObjectMissing), _talking():
            self._s3.abort_multipart_upload(Bucket=self._name, Key=key, UploadId=upload_id)

    def upload_form(self, key: str, *, most_bytes: int, return_to: str, expires_s: int) -> UploadForm:
        """Return the form that sends a file; S3 takes 5 GB at once."""
        back = {"success_action_redirect": return_to}
        made = self._s3.generate_presigned_post(
            self._name, key, Fields=back, Conditions=[back, ["content-length-range", 1, most_bytes]],
            ExpiresIn=expires_s,
        )  # fmt: skip
        return UploadForm(made["url"], made["fields"])

    def put(self, key: str, content: bytes, content_type: str) -> None:
        """Write a small file."""
        with _talking():
            self._s3.put_object(Bucket=self._name, Key=key, Body=content, ContentType=content_type)

    def put_file(self, key: str, file: IO[bytes], content_type: str) -> None:
        """Write a file of any size, in parts where it is large."""
        from boto3.exceptions import S3UploadFailedError  # type: ignore[import-untyped]

        file.seek(0)
        try:
            with _talking():
                self._s3.upload_fileobj(_Kept(file), self._name, key, ExtraArgs={"ContentType": content_type})
        except S3UploadFailedError as error:
            raise StorageUnavailable from error

    def size(self, key: str) -> int:
        """Return the length in bytes."""
        with _talking():
            length: int = self._s3.head_object(Bucket=self._name, Key=key)["ContentLength"]
        return length

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return a range."""
        from botocore.exceptions import ClientError

        try:
            with _talking():
                given = self._s3.get_object(Bucket=self._name, Key=key, Range=f"bytes={start}-{start + length - 1}")
                content: bytes = given["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] == "InvalidRange":  # it begins where the file has ended
                return b""
            raise
        return content

    def read(self, key: str) -> bytes:
        """Return all of a small file."""
        with _talking():
            content: bytes = self._s3.get_object(Bucket=self._name, Key=key)["Body"].read()
        return content

    def url(self, key: str, *, content_type: str, expires_s: int, file_name: str = "") -> str:
        """Return the address of a file."""
        what = {"Key": key, "ResponseContentType": content_type}
        if file_name:
            what["ResponseContentDisposition"] = f"attachment; filename*=UTF-8''{quote(file_name)}"
        return self._sign("get_object", what, expires_s)

    def list_files(self, prefix: str) -> Iterator[Stored]:
        """Yield the files whose keys begin so, a page at a time."""
        pages = iter(self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._name, Prefix=prefix))
        while True:
            with _talking():
                page = next(pages, None)
            if page is None:
                return
            for each in page.get("Contents", ()):
                yield Stored(each["Key"], each["Size"], each["LastModified"])

    def delete(self, keys: Iterable[str]) -> int:
        """Delete the files.

        Raises:
            StorageUnavailable: some are still there.
        """
        count = 0
        for some in batched(keys, _DELETED_AT_ONCE):
            with _talking():
                named = {"Objects": [{"Key": key} for key in some], "Quiet": True}
                answer = self._s3.delete_objects(Bucket=self._name, Delete=named)
            if answer.get("Errors"):
                raise StorageUnavailable(answer["Errors"][0].get("Code", ""))
            count += len(some)
        return count

    def _sign(self, call: str, what: dict[str, Any], expires_s: int) -> str:
        address: str = self._s3.generate_presigned_url(call, Params={"Bucket": self._name, **what}, ExpiresIn=expires_s)
        return address
