"""A video, as a person meets it: sent in parts, worked on piece by piece, watched before it is whole and afterwards."""

import pytest
from playwright.sync_api import expect

from fatfire.kit.clock import now
from fatfire.kit.serving import Server
from services.jobs import queries as jobs
from services.media import operations, playback
from services.media.jobs import MAKE_SEGMENT
from services.media.models import Segment, Video, VideoState
from tenants.isolation import tenant
from tests.browser.conftest import watch
from tests.services.media.rows import clip
from workers import tasks  # noqa: F401  # registers the operations
from workers.runner import advance, run_due


@pytest.fixture
def site(application, database, settings, tmp_path):
    """Serve the site as a laptop does: it takes files, in parts that are small here."""
    settings.MEDIA_FOLDER, settings.MEDIA_WORKER_START_SECONDS = tmp_path / "media", 0.0
    with Server(application, 0, largest_request_bytes=1 << 30) as server:
        settings.SITE_URL = settings.CONSOLE_URL = server.url
        yield server.url


@pytest.fixture
def small_parts(monkeypatch):
    """Cut files into parts of 64 KiB."""
    monkeypatch.setattr(operations.uploading, "PART_BYTES", 1 << 16)
    monkeypatch.setattr(operations.uploading, "LEAST_PART_BYTES", 1 << 16)


def announce(page, title):
    page.get_by_role("link", name="Videos").click()
    page.get_by_role("link", name="Add video").click()
    page.get_by_label("Title").fill(title)
    page.get_by_label("What it shows").select_option("House")
    page.get_by_role("button", name="Continue").click()


def choose(page, content):
    file = {"name": "walk.mp4", "mimeType": "video/mp4", "buffer": content}
    page.get_by_label("Video file").set_input_files(file)


def played(page):
    """Return for how long the video has been played to its end, and its pictures' size."""
    return page.locator("video").evaluate("""async video => {
        video.muted = true;
        video.playbackRate = 4;
        await video.play();
        await new Promise((done, failed) => {
            video.addEventListener("error", () => failed(new Error(video.error.message)));
            video.addEventListener("ended", done);
            if (video.ended) done();
        });
        return [video.currentTime, video.videoWidth, video.videoHeight];
    }""")


def test_video_is_sent_made_and_watched(site, home, page, sign_in, small_parts, require_accessible):
    content = clip(size=(320, 180))
    sign_in(page)
    announce(page, "Living room")
    require_accessible(page)
    choose(page, content)
    page.get_by_role("button", name="Upload").click()
    page.get_by_role("heading", name="Being prepared").wait_for()
    with tenant(home.id):
        video = Video.objects.get()
    assert (video.state, video.file_name, video.size) == (VideoState.WORKING, "walk.mp4", len(content))
    page.get_by_text("The file is being looked at.").wait_for()

    # The beginning can be watched before the rest is made; the page finds out by itself.
    run_due_until_first_segment(home)
    page.get_by_text("1 of 3 segments are done.").wait_for()
    page.locator("video").wait_for()
    begun = page.locator("video").evaluate("""video => new Promise((done, failed) => {
        video.addEventListener("error", () => failed(new Error(video.error.message)));
        video.addEventListener("loadeddata", () => done(video.videoWidth));
        video.load();
    })""")
    assert begun == 320
    require_accessible(page)

    run_due()
    page.get_by_role("heading", name="Ready").wait_for()
    page.reload()
    expect(page.locator("video source")).to_have_attribute("type", "video/mp4")
    seconds, width, height = played(page)
    assert (round(seconds, 1), width, height) == (6.1, 320, 180)
    page.get_by_role("link", name="Property & other").click()
    page.get_by_role("link", name="House").first.click()
    page.get_by_role("link", name="Living room").wait_for()

    page.get_by_role("link", name="Living room").click()
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete it").click()
    page.get_by_text("Living room deleted").wait_for()
    run_due()
    with tenant(home.id):
        assert not Video.objects.exists()


def run_due_until_first_segment(home):
    def is_there():
        return Segment.objects.filter(number=0, made_at__isnull=False).exists() and playback.has_playlist(
            video=Video.objects.get()
        )

    while True:
        for job_id, tenant_id in jobs.due_jobs(at=now()):
            with tenant(home.id):
                if is_there():
                    return
                job = jobs.get_job(job_id=job_id)
                is_later = (
                    job.kind == MAKE_SEGMENT.name and Segment.objects.filter(id=job.subject_id, number__gt=0).exists()
                )
            if not is_later:
                advance(job_id=job_id, tenant_id=tenant_id)


def test_upload_goes_on_after_the_connection_was_lost(site, home, browser, browser_context_args, sign_in, small_parts):
    context = browser.new_context(**browser_context_args)
    page = context.new_page()
    wrong = watch(page)
    content = clip(size=(320, 180))
    sent = []

    def meddle(route):
        sent.append(route.request.url)
        if len(sent) == 2:
            route.abort()
        else:
            route.continue_()

    page.route("**/files/*", meddle)
    sign_in(page)
    announce(page, "Kitchen")
    choose(page, content)
    with page.expect_event("requestfailed"):
        page.get_by_role("button", name="Upload").click()
    page.get_by_role("heading", name="Being prepared").wait_for()

    parts = -(-len(content) // (1 << 16))
    assert len(sent) == parts + 1  # the lost one again, and no other
    with tenant(home.id):
        assert Video.objects.get().size == len(content)
    assert wrong == ["Failed to load resource: net::ERR_FAILED"]
    context.close()


def test_upload_works_without_scripts(site, home, browser, browser_context_args, sign_in):
    context = browser.new_context(**{**browser_context_args, "java_script_enabled": False})
    page = context.new_page()
    wrong = watch(page)
    sign_in(page)
    announce(page, "Garage")
    choose(page, clip())
    page.get_by_role("button", name="Upload").click()
    page.get_by_text("The file has been sent.").wait_for()
    page.get_by_role("button", name="Prepare the video").click()
    page.get_by_text("The file has arrived").wait_for()
    run_due()
    page.reload()
    page.get_by_role("heading", name="Ready").wait_for()
    assert wrong == []
    context.close()


def test_file_that_is_no_video_is_refused_with_the_reason(site, home, page, sign_in):
    sign_in(page)
    announce(page, "Letter")
    choose(page, b"Dear insurer, " * 100)
    page.get_by_role("button", name="Upload").click()
    page.get_by_role("heading", name="Being prepared").wait_for()
    run_due()

    page.get_by_text("The file isn't a video that can be read.").wait_for()
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
