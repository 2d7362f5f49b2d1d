"""Files, wherever they lie: the same cases on a folder, and on S3 (emulated); by addresses, as browsers use them."""

import io
import urllib.error
import urllib.request
import uuid
from urllib.parse import urlsplit

import pytest
from django.db import connection

from fatfire.kit import http
from fatfire.kit.serving import Server
from fatfire.kit.storage import ObjectMissing, storage
from fatfire.kit.storage.folder import Expired, signed
from tenants.isolation import shared
from tests.emulator import client
from tests.workers.queues import aws_at

KEY = "a-tenant/a-video/original"
CONTENT = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def application():
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()


@pytest.fixture(params=["folder", "s3"])
def kept(request, settings, tmp_path, application):
    """Return the storage, empty, and where its addresses begin."""
    if request.param == "folder":
        settings.MEDIA_BUCKET, settings.MEDIA_FOLDER = "", tmp_path
        with Server(application, 0, largest_request_bytes=1 << 26) as server:
            yield storage(), server.url
        return
    endpoint = request.getfixturevalue("emulator")
    with aws_at(endpoint):
        name = f"media-{uuid.uuid4().hex[:8]}"
        client("s3", endpoint).create_bucket(Bucket=name)
        settings.MEDIA_BUCKET, settings.MEDIA_ORIGIN = name, endpoint
        yield storage(), ""


class Staying(urllib.request.HTTPRedirectHandler):
    """Follows no redirect."""

    def redirect_request(self, *_):
        return None


def ask(url, *, method="GET", body=None, **headers):
    """Return status, headers and content of an answer, redirects not followed."""
    asked = urllib.request.Request(url, method=method, data=body, headers=headers)  # noqa: S310  # of this machine
    try:
        with urllib.request.build_opener(Staying).open(asked) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers, refused.read()


def test_file_is_kept_read_listed_and_deleted(kept):
    files, _ = kept
    files.put(KEY, CONTENT, "video/mp4")
    files.put_file("a-tenant/b/480p.mp4", io.BytesIO(b"large"), "video/mp4")

    assert files.size(KEY) == len(CONTENT)
    assert files.read(KEY) == CONTENT
    assert files.read_range(KEY, 250, 10) == CONTENT[250:260]
    assert files.read_range(KEY, len(CONTENT) - 4, 100) == CONTENT[-4:]
    assert files.read_range(KEY, len(CONTENT), 100) == b""
    assert [(each.key, each.size) for each in files.list_files("a-tenant/")] == [
        (KEY, len(CONTENT)), ("a-tenant/b/480p.mp4", 5),
    ]  # fmt: skip
    assert [each.key for each in files.list_files("a-tenant/b/")] == ["a-tenant/b/480p.mp4"]
    assert files.delete([KEY, "a-tenant/never"]) == 2
    assert [each.key for each in files.list_files("")] == ["a-tenant/b/480p.mp4"]
    for missing in (lambda: files.size(KEY), lambda: files.read(KEY), lambda: files.read_range(KEY, 0, 1)):
        with pytest.raises(ObjectMissing):
            missing()


def test_upload_in_parts_is_resumed_and_completed_once(kept):
    files, base = kept
    part = 5 * 2**20
    content = b"x" * part + b"the rest"
    upload = files.begin_upload(KEY)
    for number, start in ((2, part), (1, 0), (1, 0)):  # in any order, and one twice
        piece = content[start : start + part]
        url = files.part_url(KEY, upload, number=number, size=len(piece), expires_s=60)
        assert ask(base + url, method="PUT", body=piece)[0] == 200

    there = files.uploaded_parts(KEY, upload)
    assert [(each.number, each.size) for each in there] == [(1, part), (2, 8)]
    files.complete_upload(KEY, upload, there)
    files.complete_upload(KEY, upload, there)
    assert files.size(KEY) == len(content)
    assert files.read_range(KEY, part - 2, 6) == b"xxthe "
    assert files.uploaded_parts(KEY, upload) is None


def test_upload_that_is_aborted_leaves_nothing(kept):
    files, base = kept
    upload = files.begin_upload(KEY)
    assert files.uploaded_parts(KEY, upload) == []
    url = files.part_url(KEY, upload, number=1, size=4, expires_s=60)
    assert ask(base + url, method="PUT", body=b"part")[0] == 200

    files.abort_upload(KEY, upload)
    files.abort_upload(KEY, upload)

    assert files.uploaded_parts(KEY, upload) is None
    assert ask(base + url, method="PUT", body=b"part")[0] == 404
    with pytest.raises(ObjectMissing):
        files.complete_upload(KEY, upload, [])
    assert list(files.list_files("")) == []


def test_address_gives_the_file_and_its_ranges_as_what_we_say(kept):
    files, base = kept
    files.put(KEY, CONTENT, "text/html")
    url = base + files.url(KEY, content_type="video/mp4", expires_s=60)

    status, headers, content = ask(url)
    assert (status, headers["Content-Type"], content) == (200, "video/mp4", CONTENT)
    assert headers["Content-Disposition"] is None or not headers["Content-Disposition"].startswith("attachment")
    status, headers, content = ask(url, Range="bytes=10-19")
    assert (status, headers["Content-Range"], content) == (206, f"bytes 10-19/{len(CONTENT)}", CONTENT[10:20])
    assert ask(url, Range="bytes=-4")[2] == CONTENT[-4:]
    assert ask(url, Range=f"bytes={len(CONTENT)}-")[0] == 416
    saved = files.url(KEY, content_type="video/mp4", expires_s=60, file_name="Küche.mp4")
    assert ask(base + saved)[1]["Content-Disposition"] in {
        "attachment; filename*=UTF-8''K%C3%BCche.mp4", "attachment; filename*=utf-8''K%C3%BCche.mp4",
    }  # fmt: skip


def test_form_sends_a_whole_file_and_comes_back(kept):
    files, base = kept
    form = files.upload_form(KEY, most_bytes=100, return_to="http://127.0.0.1/back?sent", expires_s=60)
    head = '--x\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    parts = [head.format(name, value) for name, value in form.fields.items()]
    parts.append('--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\nhello\r\n--x--\r\n')
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    url = form.action if form.action.startswith("http") else base + form.action

    status, headers, _ = ask(url, method="POST", body="".join(parts).encode(), **kind)

    assert (status, headers["Location"].split("?")[0]) == (303, "http://127.0.0.1/back")
    assert files.read(KEY) == b"hello"


def test_storage_is_not_waited_for_inside_a_transaction(kept, database):
    files, _ = kept
    with shared():
        assert connection.in_atomic_block
        files.url(KEY, content_type="video/mp4", expires_s=60)  # signed here, nobody is asked
        files.part_url(KEY, "0" * 32, number=1, size=1, expires_s=60)
        for wait in (
            lambda: files.put(KEY, b"", ""), lambda: files.size(KEY), lambda: files.read_range(KEY, 0, 1),
            lambda: files.begin_upload(KEY), lambda: files.delete([KEY]), lambda: list(files.list_files("")),
        ):  # fmt: skip
            with pytest.raises(http.NetworkInTransaction):
                wait()


def test_addresses_are_of_the_origin_that_the_policy_allows(kept, settings):
    files, _ = kept
    url = urlsplit(files.url(KEY, content_type="video/mp4", expires_s=60))
    origin = f"{url.scheme}://{url.netloc}" if url.netloc else ""
    assert origin == (settings.MEDIA_ORIGIN if settings.MEDIA_BUCKET else "")


class TestOfAFolder:
    """What only the laptop's own addresses can get wrong."""

    @pytest.fixture
    def files(self, settings, tmp_path, application):
        settings.MEDIA_FOLDER = tmp_path
        with Server(application, 0, largest_request_bytes=1 << 26) as server:
            yield storage(), server.url

    @pytest.fixture
    def address(self, files):
        folder, base = files
        folder.put(KEY, CONTENT, "")
        return base + folder.url(KEY, content_type="text/html", expires_s=60)

    def test_address_that_was_changed_is_refused(self, address):
        assert ask(address[:-2] + ("AA" if address[-2:] != "AA" else "BB"))[0] == 403
        assert ask(address, method="PUT", body=b"x")[0] == 405

    def test_address_expires(self, files):
        folder, base = files
        url = folder.url(KEY, content_type="video/mp4", expires_s=-1)
        with pytest.raises(Expired):
            signed(url.rpartition("/")[2])
        assert ask(base + url)[0] == 403

    def test_what_is_shown_may_do_nothing(self, address):
        headers = ask(address)[1]
        assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert headers["X-Content-Type-Options"] == "nosniff"

    @pytest.mark.parametrize(("sent", "status"), [(b"", 413), (b"123", 413), (b"1234", 200), (b"12345", 413)])
    def test_part_is_of_the_promised_size(self, files, sent, status):
        folder, base = files
        upload = folder.begin_upload(KEY)
        url = base + folder.part_url(KEY, upload, number=1, size=4, expires_s=60)

        assert ask(url, method="PUT", body=sent)[0] == status
        assert len(folder.uploaded_parts(KEY, upload)) == (1 if status == 200 else 0)

    @pytest.mark.parametrize("key", ["../secret", "/etc/passwd", "a/../b", "a//b", ".hidden", ""])
    def test_key_stays_within_the_folder(self, files, key):
        with pytest.raises(ValueError, match="can't be a key"):
            files[0].put(key, b"", "")
