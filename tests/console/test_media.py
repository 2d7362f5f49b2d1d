"""Videos in the console: the timeline of the work on one, and what a household may have."""

import datetime as dt

from services.media import queries
from services.media.models import Allowance, Segment
from tenants.isolation import tenant
from tenants.models import AuditEvent
from tests.factories import AT
from tests.services.media.rows import ready_video


def test_timeline_shows_when_each_segment_was_worked_on(client, home):
    with tenant(home.id):
        video = ready_video()
        for number, (start, end) in enumerate([(0, 4), (4, 8)]):
            moments = {"started_at": AT + dt.timedelta(seconds=start), "made_at": AT + dt.timedelta(seconds=end)}
            Segment.objects.filter(number=number).update(**moments)
        Segment.objects.create(video=video, number=2, start_s=6, length_s=1, cost_s=0.1)

    page = client.get(f"/admin/media/video/{video.id}/change/").content.decode()

    assert '<rect x="60.0" y="2" width="400.0" height="10" rx="2"></rect>' in page
    assert '<rect x="460.0" y="16" width="400.0" height="10" rx="2"></rect>' in page
    assert "<title>Segment 1: 0.5 s, 0.4 s of a core, 90 MB</title>" in page
    assert "<title>Segment 2: not made yet</title>" in page
    assert "2 of 3 made" in page
    # Two segments of half a second: 1 s at 1.769 GB, 0.0000166667 USD a gigabyte-second.
    assert "About 0.000029 USD on Lambda (estimated" in page


def test_operators_say_what_a_household_may_have(client, ada, home):
    path = "/admin/media/allowance/"
    said = {"household": home.id, "max_bytes": "1000", "parallel": "8", "renditions": "480p  720p"}
    assert client.post(f"{path}add/", said).headers.get("Location") == path

    with tenant(home.id):
        allowed = queries.allowed()
        row = Allowance.objects.get()
    assert (allowed.max_bytes, allowed.parallel, allowed.renditions) == (1000, 8, ("720p", "480p"))
    changed = {"parallel": "4", "renditions": ""}
    assert client.post(f"{path}{row.id}/change/", changed).headers.get("Location") == path
    refused = client.post(f"{path}{row.id}/change/", {"renditions": "4k"}).content.decode()
    assert "Some of 1080p 720p 480p" in refused
    with tenant(home.id):
        allowed = queries.allowed()
        events = AuditEvent.objects.filter(subject="allowance").order_by("at").values_list("action", "actor_id")
        assert list(events) == [("create", ada.id), ("update", ada.id)]
    assert (allowed.parallel, allowed.renditions) == (4, queries.RENDITIONS)
