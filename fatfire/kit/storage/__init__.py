"""Where files lie: a bucket of S3 (MEDIA_BUCKET) or a folder of this machine (MEDIA_FOLDER), behind one interface.

Files never pass through us: a browser sends and fetches them by addresses that are signed for one thing and expire. Of
a folder these are our own (fatfire/web/files.py). What waits for S3 refuses inside a transaction, whichever it is, so
that a laptop finds out what production would suffer from; addresses are signed here, and may be made anywhere.
"""

from pathlib import Path

from django.conf import settings

from fatfire.kit.storage.interface import (
    LEAST_PART_BYTES,
    MOST_PARTS,
    ObjectMissing,
    Part,
    Storage,
    StorageUnavailable,
    Stored,
    UploadForm,
)

__all__ = [
    "LEAST_PART_BYTES",
    "MOST_PARTS",
    "ObjectMissing",
    "Part",
    "Storage",
    "StorageUnavailable",
    "Stored",
    "UploadForm",
    "storage",
]


def storage() -> Storage:
    """Return the storage that the settings name."""
    if settings.MEDIA_BUCKET:
        from fatfire.kit.storage.s3 import Bucket  # boto3 takes a while to import; a laptop needs none of it

        return Bucket(settings.MEDIA_BUCKET, settings.MEDIA_ORIGIN)
    from fatfire.kit.storage.folder import Folder

    return Folder(Path(settings.MEDIA_FOLDER))
