"""A video, on what is deployed: sent to the bucket, made by many invocations at once, played, deleted."""

import httpx

from fatfire import demo
from fatfire.kit import clock
from services.media.models import Segment, Video
from tenants.isolation import tenant
from tests.deployed import wait_for
from tests.factories import make_portfolio, make_tenant
from tests.services.media.rows import clip


def send(api, video_id, content):
    """Begin the upload, and send all parts to the addresses that are given."""
    file = {"file_name": "walk.mp4", "size": len(content)}
    upload = api.post(f"/api/v1/videos/{video_id}/upload", json=file).raise_for_status().json()
    for part in upload["to_send"]:
        body = content[part["start"] : part["start"] + part["size"]]
        httpx.put(part["url"], content=body, timeout=60).raise_for_status()


def test_a_video_is_sent_made_played_and_deleted(deployed, database):
    owner, content = make_tenant(), clip(4.1)
    with tenant(owner.id):
        portfolio = make_portfolio()
    key = demo.make_key(owner, at=clock.now())
    with deployed.http() as api:
        api.headers["X-API-Key"] = key
        facts = {"portfolio_id": str(portfolio.id), "title": "Walk through the house"}
        given_up, video = (api.post("/api/v1/videos", json=facts).raise_for_status().json()["id"] for _ in range(2))
        send(api, given_up, content)
        api.delete(f"/api/v1/videos/{given_up}").raise_for_status()
        send(api, video, content)
        assert api.get(f"/api/v1/videos/{video}/upload").json()["to_send"] == []
        api.post(f"/api/v1/videos/{video}/complete").raise_for_status()

        def shown():
            return api.get(f"/api/v1/videos/{video}").json()

        wait_for(lambda: shown()["state"] not in {"uploading", "working"}, patience_s=90)
        assert (shown()["state"], shown()["error_code"]) == ("ready", "")
        playback = api.get(f"/api/v1/videos/{video}/playback").raise_for_status().json()
        made = httpx.get(playback["qualities"][0]["url"], timeout=60).raise_for_status().content
        with tenant(owner.id):
            assert Segment.objects.count() >= 1
        api.delete(f"/api/v1/videos/{video}").raise_for_status()

        def gone():
            with tenant(owner.id):
                return not Video.objects.exists()

        assert wait_for(gone)

    assert made[4:8] == b"ftyp"
    bucket = deployed.here.system.bucket("media")
    assert deployed.client("s3").list_objects_v2(Bucket=bucket).get("KeyCount") == 0
