"""A file that comes in: announced, sent in parts, interrupted, taken into work; and what isn't taken."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from fatfire.kit.storage import ObjectMissing, storage
from services.core.models import Asset
from services.jobs.models import Job
from services.media import operations, queries
from services.media.models import Allowance, Video, VideoState
from services.media.operations import VideoFacts, uploading
from tenants.isolation import tenant
from tests.factories import AT, make_asset, make_portfolio, make_tenant
from tests.services.insurance.rows import make_policy
from tests.services.media.rows import arrived, make_video, put_part, send

CONTENT = bytes(range(256)) * 100
SIZE = len(CONTENT)
PART = 10_000


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(uploading, "PART_BYTES", PART)
    monkeypatch.setattr(uploading, "LEAST_PART_BYTES", PART)


@pytest.fixture
def video(home) -> Video:
    with tenant(home.id):
        return make_video()


def begin(video, *, name="walk.mp4", size=SIZE):
    return operations.begin_upload(tenant_id=video.tenant_id, video_id=video.id, file_name=name, size=size)


def complete(video):
    return operations.complete_upload(tenant_id=video.tenant_id, video_id=video.id, at=AT)


def state_of(video):
    with tenant(video.tenant_id):
        row = Video.objects.get(id=video.id)
        return VideoState(row.state), row.size, sorted(Job.objects.values_list("kind", flat=True))


def test_upload_goes_on_with_the_parts_that_are_missing(video, small_parts):
    first = begin(video)
    assert [(part.number, part.start, part.size) for part in first.to_send] == [
        (1, 0, PART), (2, PART, PART), (3, 2 * PART, 5600),
    ]  # fmt: skip
    put_part(first.to_send[1].url, CONTENT[PART : 2 * PART])

    again = begin(video)  # another day, the same file

    assert (again.received_bytes, [part.number for part in again.to_send]) == (PART, [1, 3])
    with pytest.raises(operations.UploadIncomplete):
        complete(video)
    assert state_of(video) == (VideoState.UPLOADING, len(CONTENT), [])
    for part in again.to_send:
        put_part(part.url, CONTENT[part.start : part.start + part.size])
    assert operations.upload_of(tenant_id=video.tenant_id, video_id=video.id).to_send == ()
    assert complete(video).state == VideoState.WORKING
    assert complete(video).state == VideoState.WORKING  # said twice
    assert state_of(video) == (VideoState.WORKING, len(CONTENT), ["media.prepare_video"])
    assert storage().read(queries.original_key(video)) == CONTENT


def test_another_file_begins_anew(video, small_parts):
    first = begin(video)
    put_part(first.to_send[0].url, CONTENT[:PART])

    other = begin(video, name="other.mp4", size=PART)

    assert (other.received_bytes, len(other.to_send)) == (0, 1)
    with pytest.raises(ObjectMissing):
        put_part(first.to_send[1].url, CONTENT[PART : 2 * PART])


def test_upload_that_the_storage_has_forgotten_begins_anew(video, small_parts):
    first = begin(video)
    put_part(first.to_send[0].url, CONTENT[:PART])
    with tenant(video.tenant_id):
        upload_id = Video.objects.get().upload_id
    storage().abort_upload(queries.original_key(video), upload_id)  # as the bucket's lifecycle does

    with pytest.raises(operations.UploadNotBegun):
        operations.upload_of(tenant_id=video.tenant_id, video_id=video.id)
    send(video.tenant_id, video.id, CONTENT)

    assert complete(video).size == SIZE


def test_upload_whose_parts_were_put_together_is_only_to_be_completed(video, small_parts):
    send(video.tenant_id, video.id, CONTENT)
    key = queries.original_key(video)
    with tenant(video.tenant_id):
        upload_id = Video.objects.get().upload_id
    storage().complete_upload(key, upload_id, storage().uploaded_parts(key, upload_id))  # and then it was killed

    again = begin(video)

    assert (again.received_bytes, again.to_send) == (SIZE, ())
    assert complete(video).size == SIZE


def test_parts_are_never_too_many():
    most = 10 * 2**40
    size = max(uploading.PART_BYTES, -(-most // (uploading.MOST_PARTS // 2)))
    assert -(-most // size) <= uploading.MOST_PARTS


REFUSED = {
    "nothing was said of the file": (
        operations.UploadNotBegun,
        lambda v: operations.upload_of(tenant_id=v.tenant_id, video_id=v.id),
    ),
    "nothing came": (operations.UploadIncomplete, complete),
    "it is too large": (operations.FileTooLarge, lambda v: begin(v, size=2001)),
    "another tenant's": (
        Video.DoesNotExist,
        lambda v: operations.begin_upload(tenant_id=make_tenant().id, video_id=v.id, file_name="x", size=1),
    ),
}


@pytest.mark.parametrize(("refusal", "act"), REFUSED.values(), ids=REFUSED)
def test_refused_upload_changes_nothing(video, refusal, act):
    with tenant(video.tenant_id):
        Allowance.objects.create(max_bytes=2000)

    with pytest.raises(refusal):
        act(video)

    assert state_of(video) == (VideoState.UPLOADING, None, [])
    assert list(storage().list_files("")) == []


def test_file_that_has_arrived_is_not_replaced(home):
    video = arrived(home.id, CONTENT)

    with pytest.raises(operations.NotUploading):
        begin(video)


def test_only_so_many_videos_are_kept(home):
    with tenant(home.id):
        Allowance.objects.create(max_videos=1)
        portfolio = make_portfolio()
        make_video(portfolio)

        with pytest.raises(operations.TooManyVideos, match="There are 1 videos"):
            make_video(portfolio)


def test_of_two_videos_at_once_no_more_are_kept_than_may_be(home):
    with tenant(home.id):
        Allowance.objects.create(max_videos=1)
        portfolio = make_portfolio()
        other = make_portfolio()

    def add_other():
        try:
            with tenant(home.id):
                make_video(other)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with tenant(home.id):
            make_video(portfolio)
            adding = pool.submit(add_other)
            with pytest.raises(TimeoutError):
                adding.result(0.3)  # it waits
        with pytest.raises(operations.TooManyVideos):
            adding.result(10)


def test_video_is_about_what_is_in_its_portfolio(home):
    with tenant(home.id):
        house = make_asset(make_portfolio())
        policy, elsewhere = make_policy(house.portfolio), make_portfolio()

        video = make_video(house.portfolio, policy_id=policy.id, asset_id=house.id)
        for wrong in ({"policy_id": policy.id}, {"asset_id": house.id}, {"asset_id": uuid.uuid4()}):
            with pytest.raises((type(policy).DoesNotExist, Asset.DoesNotExist)):
                make_video(elsewhere, **wrong)

        facts = VideoFacts(portfolio_id=house.portfolio_id, title="Kitchen", policy_id=policy.id)
        changed = operations.update_video(video_id=video.id, facts=facts, at=AT)
        assert (changed.title, changed.policy_id, changed.asset_id) == ("Kitchen", policy.id, None)
        policy.delete()
        assert queries.get_video(video_id=video.id).policy_id is None  # the video stays


def test_form_sends_a_whole_file(video):
    storage().put(queries.original_key(video), CONTENT, "video/mp4")  # as a form does
    send_nothing = begin(video)  # begun in parts before, of which none came
    assert send_nothing.received_bytes == 0

    assert complete(video).size == len(CONTENT)


def test_no_part_is_taken_for_another_tenants_upload(home, video):
    send(home.id, video.id, CONTENT)
    other = make_tenant()

    with pytest.raises(Video.DoesNotExist):
        operations.complete_upload(tenant_id=other.id, video_id=video.id, at=AT)
