"""The demo's video: sent once, by the door that everybody's videos come through."""

import io

import av
import httpx
import pytest
from django.core.wsgi import get_wsgi_application
from django.db import connections

from fatfire import demo_video
from fatfire.kit.serving import Server
from services.insurance.operations import PolicyKind
from services.media import operations, queries
from services.media.models import Video, VideoState
from tenants.isolation import tenant
from tests.factories import AT, make_asset, make_portfolio, make_tenant
from tests.services.insurance.rows import make_policy


@pytest.fixture
def home(database, settings, tmp_path):
    settings.MEDIA_FOLDER = tmp_path / "media"
    home = make_tenant()
    with tenant(home.id):
        house = make_asset(make_portfolio())
        make_policy(house.portfolio, asset_id=house.id, kind=PolicyKind.HOME_AND_CONTENTS)
    return home


@pytest.fixture
def site(database, settings, monkeypatch):
    for each in connections.settings.values():
        monkeypatch.setitem(each, "CONN_MAX_AGE", 0)  # the server's threads end with the test
    with Server(get_wsgi_application(), 0) as server:
        settings.SITE_URL = server.url
        yield server.url


def send(home):
    demo_video.send(home, now=lambda: AT)
    with tenant(home.id):
        return list(queries.list_videos())


def test_it_is_sent_once(home, site):
    (video,) = send(home)

    assert (video.title, video.state, video.size) == ("Living room", VideoState.WORKING, len(demo_video.draw()))
    assert video.policy_id is not None
    assert video.asset_id is not None
    assert send(home) == [video]


def test_it_stays_deleted(home, site):
    (video,) = send(home)
    with tenant(home.id):
        operations.delete_video(video_id=video.id, at=AT)

    assert send(home) == []


def test_start_that_was_interrupted_is_gone_on_with(home, site, settings):
    settings.SITE_URL = "http://127.0.0.1:9"
    with pytest.raises(httpx.ConnectError):
        send(home)
    with tenant(home.id):
        assert Video.objects.get().state == VideoState.UPLOADING

    settings.SITE_URL = site
    (video,) = send(home)
    assert video.state == VideoState.WORKING


def test_household_without_the_policy_gets_none(database, site):
    assert send(make_tenant()) == []


def test_one_looks_around_the_room():
    with av.open(io.BytesIO(demo_video.draw())) as drawn:
        frames = list(drawn.decode(video=0))

    assert (len(frames), frames[0].width, frames[0].height) == (192, 1280, 720)
    assert bytes(frames[0].planes[0]) != bytes(frames[-1].planes[0])
