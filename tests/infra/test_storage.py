"""What becomes of a bucket's objects by itself."""

import pytest

from infra.aws import Account
from infra.storage import buckets
from infra.system import System

PRODUCTION = System.load("production")


@pytest.mark.parametrize(("settings", "days"), [({}, 8), ({"KEEP_UPLOADS_DAYS": "30"}, 31)])
def test_an_upload_may_go_on_for_as_long_as_it_is_kept(settings, days):
    system = System.model_validate({**PRODUCTION.model_dump(), "settings": settings})

    (rules,) = [each._rules() for each in buckets(Account.at_hand(system.region), system) if each.what == "media"]

    assert [each["AbortIncompleteMultipartUpload"] for each in rules] == [{"DaysAfterInitiation": days}]
