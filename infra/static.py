"""Static files for a CDN, when the description names a bucket: those of each package, kept beside those of others.

They are named by their content, so a page of the version before finds its own until nobody needs it.
"""

import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass

from infra.aws import Account, or_none
from infra.change import Change
from infra.packaging import collected_static, static_files
from infra.system import System

FOREVER = "max-age=315360000, public, immutable"


@dataclass(frozen=True)
class StaticFiles:
    """The collected files in the bucket that the CDN reads."""

    account: Account
    system: System
    bucket: str

    def changes(self) -> Iterator[Change]:
        """Yield the sending of what isn't there yet; the list of all is sent last, and tells that they are."""
        s3, digest = self.account.client("s3"), collected_static().name
        if or_none(s3.head_object, Bucket=self.bucket, Key=digest) is None:
            yield Change(f"static files in {self.bucket}", "send", self._send)

    def _send(self) -> None:
        s3, names = self.account.client("s3"), []
        for name, path in static_files():
            if path.suffix != ".gz":  # a CDN compresses by itself
                kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
                about = {"ContentType": kind, "CacheControl": FOREVER}
                s3.upload_file(str(path), self.bucket, name, ExtraArgs=about)
                names.append(name)
        s3.put_object(Bucket=self.bucket, Key=collected_static().name, Body="\n".join(names).encode())
