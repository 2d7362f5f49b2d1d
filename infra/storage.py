"""The buckets: encrypted, closed to the public, reached over TLS only, and tidied up by themselves."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fatfire.settings import Environment
from infra.aws import Account, or_none
from infra.change import Change
from infra.system import System

_CLOSED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
_ENCRYPTED = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]}


@dataclass(frozen=True)
class Bucket:
    """A bucket and what becomes of its objects: prefix to days until they go."""

    account: Account
    system: System
    what: str
    expire_days: Mapping[str, int]
    for_pages: bool = False
    """Whether pages send files to it and fetch them from it, by signed addresses."""
    unfinished_days: int = 2
    """After so many days the parts go of an upload that nobody finished."""

    def changes(self) -> Iterator[Change]:
        """Yield its creation, and each of its settings that differs."""
        s3, name = self.account.client("s3"), self.system.bucket(self.what)
        if self._answer(s3.head_bucket) is None:
            yield Change(f"bucket {name}", "create", self._create)
        for what, wanted, found, put in self._settings(s3, name):
            if found != wanted:
                yield Change(f"bucket {name}", what, put)

    def _settings(self, s3: Any, name: str) -> Iterator[tuple[str, Any, Any, Callable[[], object]]]:
        """Yield each setting: its name, what it should be, what it is, and how it is set."""
        yield (
            "closed to the public",
            _CLOSED,
            self._answer(s3.get_public_access_block, "PublicAccessBlockConfiguration"),
            lambda: s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=_CLOSED),
        )
        encryption = self._answer(s3.get_bucket_encryption, "ServerSideEncryptionConfiguration")
        yield (
            "encrypted",
            "AES256",
            encryption and encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"],
            lambda: s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=_ENCRYPTED),
        )
        policy = self._answer(s3.get_bucket_policy, "Policy")
        yield (
            "over TLS only",
            self._policy(name),
            policy and json.loads(policy),
            lambda: s3.put_bucket_policy(Bucket=name, Policy=json.dumps(self._policy(name))),
        )
        if self.for_pages:
            yield (
                "open to the pages",
                self._cors(),
                self._answer(s3.get_bucket_cors, "CORSRules"),
                lambda: s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": self._cors()}),
            )
        rules = self._answer(s3.get_bucket_lifecycle_configuration, "Rules")
        yield (
            "lifecycle",
            _days(self._rules()),
            _days(rules or []),
            lambda: s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": self._rules()}),
        )

    def _create(self) -> None:
        region = self.system.region
        # S3 refuses the name of its oldest region.
        where = {"CreateBucketConfiguration": {"LocationConstraint": region}} if region != "us-east-1" else {}
        self.account.client("s3").create_bucket(Bucket=self.system.bucket(self.what), **where)

    def _answer(self, ask: Callable[..., Any], part: str | None = None) -> Any:
        answer = or_none(ask, Bucket=self.system.bucket(self.what))
        return answer[part] if answer and part else answer

    def _policy(self, name: str) -> dict[str, Any]:
        return {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "OverTlsOnly",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ],
        }

    def _cors(self) -> list[dict[str, Any]]:
        """Return what browsers may do from our pages; a part's ETag is how they prove that they sent it."""
        methods = {"AllowedMethods": ["GET", "HEAD", "PUT", "POST"], "AllowedHeaders": ["*"], "ExposeHeaders": ["ETag"]}
        return [{"AllowedOrigins": [self.system.site_url], **methods, "MaxAgeSeconds": 3600}]

    def _rules(self) -> list[dict[str, Any]]:
        expiring = [
            {
                "ID": f"expire-{prefix.strip('/') or 'all'}",
                "Status": "Enabled",
                "Filter": {"Prefix": prefix},
                "Expiration": {"Days": days},
            }
            for prefix, days in self.expire_days.items()
        ]
        unfinished = {
            "ID": "unfinished-uploads",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": self.unfinished_days},
        }
        return [*expiring, unfinished]


def _days(rules: list[dict[str, Any]]) -> dict[str, int]:
    """Return what the rules say, without how AWS writes it: rule to days."""
    return {
        each["ID"]: each.get("Expiration", each.get("AbortIncompleteMultipartUpload", {})).get("Days")
        or each["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
        for each in rules
    }


def buckets(account: Account, system: System) -> Iterator[Bucket]:
    """Yield every bucket."""
    # Lambda keeps the code of its versions; here it is only handed over.
    yield Bucket(account, system, "packages", {"": 30})
    # Jobs delete what is old (media.tidy), since only they know what belongs to what: a person's upload, too. What they
    # don't know of goes a day later.
    kept_days = int(system.settings.get("KEEP_UPLOADS_DAYS") or Environment.model_fields["keep_uploads_days"].default)
    yield Bucket(account, system, "media", {}, for_pages=True, unfinished_days=kept_days + 1)
