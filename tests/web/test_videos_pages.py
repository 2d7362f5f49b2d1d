"""The pages of videos: who may do what, what is told of the work, and where files may come from and go to."""

import json
import subprocess
import sys

import pytest

from services.core.models import Portfolio
from services.media.models import Video, VideoState
from tenants.isolation import tenant
from tests.factories import AT, make_asset, make_portfolio
from tests.services.media.rows import make_video, ready_video

HTMX = {"HX-Request": "true"}


@pytest.fixture
def portfolio(home) -> Portfolio:
    with tenant(home.id):
        return make_portfolio(name="Family")


def make(home, **said):
    with tenant(home.id):
        video = make_video()
        Video.objects.filter(id=video.id).update(**said)
        return video


_SENT = {"size": 1000, "file_name": "walk.mp4", "asked_at": AT}


def test_video_is_added_about_what_is_owned(home, client, portfolio):
    with tenant(home.id):
        house = make_asset(portfolio, name="House")

    refused = client.post("/videos/new", {"title": "", "about": ""})
    added = client.post("/videos/new", {"title": "Living room", "about": f"asset {house.id}"})

    assert (refused.status_code, "Enter a title" in refused.content.decode()) == (422, True)
    with tenant(home.id):
        video = Video.objects.get()
    assert (added.status_code, added.headers["Location"]) == (303, f"/videos/{video.id}/upload")
    assert (video.title, video.asset_id, video.portfolio_id) == ("Living room", house.id, portfolio.id)
    assert f"/videos/{video.id}" in client.get("/videos").content.decode()


def test_script_is_told_where_to_send_the_file(home, client, portfolio):
    video = make(home)
    path = f"/videos/{video.id}/parts"

    told = client.post(path, {"file_name": "walk.mp4", "size": "10"})
    refused = client.post(path, {"file_name": "walk.mp4", "size": str(2**60)})

    assert told.status_code == 200
    answer = json.loads(told.content)
    assert (answer["size"], answer["received"]) == (10, 0)
    assert [(part["start"], part["size"], part["url"][:7]) for part in answer["parts"]] == [(0, 10, "/files/")]
    assert (refused.status_code, "A file may have" in json.loads(refused.content)["error"]) == (422, True)
    incomplete = client.post(f"/videos/{video.id}/complete")
    assert (incomplete.status_code, "Choose it again" in incomplete.content.decode()) == (409, True)


def test_state_is_asked_for_until_it_is_over(home, client, portfolio):
    for state, asks, buttons in (
        (VideoState.WORKING, True, ["Cancel"]),
        (VideoState.CANCELLED, False, ["Try again"]),
        (VideoState.FAILED, False, ["Try again"]),
    ):
        video = make(home, state=state, **_SENT)
        part = client.get(f"/videos/{video.id}?part=state", headers=HTMX).content.decode()
        assert ("hx-trigger" in part) == asks, state
        assert [name for name in ("Cancel", "Try again") if f"{name}</button>" in part] == buttons
    refused = make(home, state=VideoState.FAILED, error_code="not_video", **_SENT)
    assert "Try again" not in client.get(f"/videos/{refused.id}").content.decode()


def test_work_is_stopped_and_gone_on_with(home, client, portfolio):
    video = make(home, state=VideoState.WORKING, **_SENT)
    path = f"/videos/{video.id}"
    for action, state in (("cancel", "cancelled"), ("cancel", "cancelled"), ("retry", "working"), ("retry", "working")):
        answer = client.post(f"{path}/{action}")
        assert (answer.status_code, answer.headers["Location"]) == (303, path)
        with tenant(home.id):
            assert Video.objects.get().state == state


def test_playlist_names_files_by_addresses_and_others_by_their_names(home, client, portfolio):
    with tenant(home.id):
        video = ready_video(portfolio)

    found = client.get(f"/videos/{video.id}/hls/master.m3u8")

    assert found.headers["Content-Type"] == "application/vnd.apple.mpegurl"
    assert found.content.decode() == "#EXTM3U\n480p.m3u8\n"
    assert client.get(f"/videos/{video.id}/hls/never.m3u8").status_code == 404
    with tenant(home.id):
        Video.objects.update(pieces_deleted_at=AT)
    assert client.get(f"/videos/{video.id}/hls/master.m3u8").status_code == 404


def directives(policy: str) -> dict[str, str]:
    return dict(each.strip().partition(" ")[::2] for each in policy.split(";"))


def test_files_come_from_the_storage_alone(home, client, portfolio):
    video = make(home)
    everywhere = directives(client.get("/videos").headers["Content-Security-Policy"])
    upload = directives(client.get(f"/videos/{video.id}/upload").headers["Content-Security-Policy"])
    for name in ("img-src", "media-src", "connect-src", "form-action"):
        assert (everywhere[name], upload[name]) == ("'self'", "'self'"), name

    # With a bucket: the settings are read when a process starts.
    program = """
import json, django; django.setup()
from django.conf import settings
from fatfire.web.uploads import _POLICY
print(json.dumps([settings.SECURE_CSP, _POLICY]))
"""
    settings = {
        "MEDIA_BUCKET": "example-media", "AWS_REGION": "ap-southeast-2", "SECRET_KEY": "x",
        "DJANGO_SETTINGS_MODULE": "fatfire.settings",
    }  # fmt: skip
    printed = subprocess.run([sys.executable, "-c", program], env=settings, check=True, capture_output=True, text=True)
    pages, of_upload = json.loads(printed.stdout)
    ours, both = ["'self'"], ["'self'", "https://example-media.s3.ap-southeast-2.amazonaws.com"]
    for name in ("img-src", "media-src", "connect-src"):
        assert (pages[name], of_upload[name]) == (both, both), name
    assert (pages["form-action"], of_upload["form-action"]) == (ours, both)
    assert (pages["script-src"], pages["style-src"], pages["default-src"]) == (ours, ours, ["'none'"])
