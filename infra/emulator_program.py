"""The emulator's process, run by path with its own Python: the emulator, with two things that we need of its IAM.

It names no resource ("*") of calls that it doesn't know well enough; then an action is granted where it is granted on
anything. And with CALLS_FILE each call by a role or a user is written there, as a line of JSON, so that a test can tell
which rights nobody uses.
"""

import json
import os
import threading
from pathlib import Path
from typing import Any

from ministack.app import main  # type: ignore[import-not-found]
from ministack.core import iam_evaluator  # type: ignore[import-not-found]
from ministack.core.responses import get_account_id  # type: ignore[import-not-found]

UNKNOWN = "*"
CALLS_FILE = os.environ.pop("CALLS_FILE", "")  # functions inherit the environment, and have no use for it

_matches, _enforce, _lock = iam_evaluator._resource_matches, iam_evaluator.enforce, threading.Lock()


def _resource_matches(resource: str, resources: list[str], not_resources: list[str]) -> bool:
    return resource == UNKNOWN or bool(_matches(resource, resources, not_resources))


def _enforce_and_record(access_key: str, action: str, *arguments: Any, **named: Any) -> Any:
    denied = _enforce(access_key, action, *arguments, **named)
    principal = iam_evaluator.resolve_principal(access_key or "", get_account_id())
    if getattr(principal, "policies", None) is not None:  # not the account's root
        call = {"by": principal.arn, "action": action, "on": named.get("resource_arn", UNKNOWN), "denied": bool(denied)}
        with _lock, Path(CALLS_FILE).open("a") as file:
            file.write(json.dumps(call) + "\n")
    return denied


iam_evaluator._resource_matches = _resource_matches
if CALLS_FILE:
    iam_evaluator.enforce = _enforce_and_record
main()
