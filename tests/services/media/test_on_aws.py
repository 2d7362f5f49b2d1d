"""What is different on AWS: files lie in a bucket, and most processes have no engine."""

import subprocess
import sys
import urllib.request
import uuid

from fatfire.kit.storage import storage
from services.media import operations, queries
from services.media.models import VideoState
from tenants.isolation import tenant
from tests.emulator import client
from tests.factories import AT
from tests.services.media.rows import clip, files_of, make_video
from tests.workers.queues import aws_at


def test_video_is_sent_and_made_in_a_bucket(home, run_jobs, emulator, settings):
    content = clip(2.1)
    with aws_at(emulator):
        settings.MEDIA_BUCKET, settings.MEDIA_ORIGIN = f"media-{uuid.uuid4().hex[:8]}", emulator
        client("s3", emulator).create_bucket(Bucket=settings.MEDIA_BUCKET)
        with tenant(home.id):
            video = make_video()
        upload = operations.begin_upload(tenant_id=home.id, video_id=video.id, file_name="walk.mp4", size=len(content))
        for part in upload.to_send:
            body = content[part.start : part.start + part.size]
            with urllib.request.urlopen(urllib.request.Request(part.url, method="PUT", data=body)) as answer:  # noqa: S310  # of this machine
                assert answer.status == 200
        operations.complete_upload(tenant_id=home.id, video_id=video.id, at=AT)
        run_jobs(now=lambda: AT)

        with tenant(home.id):
            video = queries.get_video(video_id=video.id)
        assert (video.state, video.error_code) == (VideoState.READY, "")
        made = storage().read(queries.rendition_key(video, "480p"))
        assert made[4:8] == b"ftyp"
        assert made.index(b"moov") < made.index(b"mdat")
        with tenant(home.id):
            operations.delete_video(video_id=video.id, at=AT)
        run_jobs(now=lambda: AT)
        assert files_of(home.id) == []


def test_pages_and_other_workers_need_no_engine():
    program = """
import sys, django; django.setup()
import fatfire.urls, workers.tasks
print(sorted(name for name in sys.modules if name in {"av", "boto3"} or name.startswith("services.media.engine")))
"""
    settings = {"DJANGO_SETTINGS_MODULE": "fatfire.settings", "SECRET_KEY": "x"}
    printed = subprocess.run([sys.executable, "-c", program], env=settings, check=True, capture_output=True, text=True)
    assert printed.stdout == "[]\n"
