"""The emulator's process, run by path with its own Python: the emulator, its IAM mended where it isn't as AWS's.

- Where it can't tell what a call is about it asks for "*"; an action is then granted where it is granted on anything.
- It guesses an action of Lambda from a few words of the path; here the service's own model tells.
- It names the rules of EventBridge's default bus otherwise, and asks for a key's alias where AWS asks for the key.
- It doesn't know which function a call about an event source mapping is for; that condition counts as met.
- It speaks plain HTTP on the loopback interface, which counts as TLS here: the buckets refuse anything else.
- It drops an asynchronous invocation that finds no free place three times; on AWS that one waits its turn. Here two of
  a function run at once.

Its functions are ready at once: whoever waits for one asks immediately, and then not for five seconds. A package is
unpacked once, not for each process that runs it.

With CALLS_FILE each call by a role or a user is noted there, as a line of JSON, so that a test can tell which rights
nobody uses.
"""

import hashlib
import json
import os
import sys
import tempfile
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ministack import app  # type: ignore[import-not-found]
from ministack.core import iam_actions, iam_evaluator, lambda_runtime  # type: ignore[import-not-found]
from ministack.core.responses import get_account_id  # type: ignore[import-not-found]
from ministack.services import kms, lambda_svc  # type: ignore[import-not-found]

UNKNOWN = "*"
AT_ONCE = 2
"""Of one function's asynchronous invocations; each runs in a process of its own."""
CALLS_FILE = os.environ.pop("CALLS_FILE", "")  # functions inherit the environment, and have no use for it
_IAM_NAMES = {"Invoke": "InvokeFunction"}  # the one operation that IAM calls otherwise

_matches, _met, _enforce = iam_evaluator._resource_matches, iam_evaluator._conditions_met, iam_evaluator.enforce
_pin, _execute = app.pin_request_origin, lambda_svc._execute_function
_lock = threading.Lock()
_turns: dict[str, threading.Semaphore] = {}


def _resource_matches(resource: str, resources: list[str], not_resources: list[str]) -> bool:
    return resource == UNKNOWN or bool(_matches(resource, resources, not_resources))


def _conditions_met(conditions: dict[str, dict[str, Any]], context: Any) -> bool:
    known = {
        operator: {key: value for key, value in keys.items() if key != "lambda:FunctionArn"}
        for operator, keys in conditions.items()
    }
    return bool(_met({operator: keys for operator, keys in known.items() if keys}, context))


def _lambda_action(method: str, path: str) -> str | None:
    operation: str | None = iam_actions._match_rest_action("lambda", method, path)
    return _IAM_NAMES.get(operation, operation) if operation else None


def _execute_in_turn(function: dict[str, Any], event: dict[str, Any]) -> Any:
    if sys._getframe(1).f_code.co_qualname.startswith("invoke_async_with_retry."):
        with _turns.setdefault(function["config"]["FunctionName"], threading.Semaphore(AT_ONCE)):
            return _execute(function, event)
    return _execute(function, event)


class _UnpackedOnce(zipfile.ZipFile):
    """A zip file whose contents, once unpacked, are only linked to."""

    def extractall(self, path: Any = None, members: Any = None, pwd: Any = None) -> None:
        """Put a link to the contents in the place of the empty folder `path`."""
        digest = hashlib.sha256(Path(str(self.filename)).read_bytes()).hexdigest()
        shared = Path(tempfile.gettempdir(), f"code-{digest}")
        with _lock:
            if not shared.exists():
                draft = tempfile.mkdtemp()
                super().extractall(draft, members, pwd)
                Path(draft).rename(shared)
        Path(path).rmdir()
        Path(path).symlink_to(shared)


def _pin_request_origin(source_ip: str, _secure: bool) -> None:
    _pin(source_ip, True)


def _resource(arn: str) -> str:
    if ":alias/" in arn:
        key = kms._resolve_key(arn)
        return str(key["Arn"]) if key else UNKNOWN
    return arn.replace(":rule/default/", ":rule/")


def _enforce_and_record(access_key: str, action: str, *arguments: Any, **named: Any) -> Any:
    named["resource_arn"] = _resource(named.get("resource_arn", UNKNOWN))
    denied = _enforce(access_key, action, *arguments, **named)
    if not CALLS_FILE:
        return denied
    principal = iam_evaluator.resolve_principal(access_key or "", get_account_id())
    if getattr(principal, "policies", None) is not None:  # not the account's root
        call = {"by": principal.arn, "action": action, "on": named["resource_arn"], "denied": bool(denied)}
        with _lock, Path(CALLS_FILE).open("a") as file:
            file.write(json.dumps(call) + "\n")
    return denied


iam_evaluator._resource_matches = _resource_matches
iam_evaluator._conditions_met = _conditions_met
iam_actions._BOTOCORE_SERVICE_MAP["lambda"] = ["lambda"]
iam_actions._lambda_action = _lambda_action
app.pin_request_origin = _pin_request_origin
lambda_svc._execute_function = _execute_in_turn
lambda_runtime.zipfile = SimpleNamespace(**{**vars(zipfile), "ZipFile": _UnpackedOnce})
lambda_svc._LAMBDA_STATE_TRANSITION_DELAY = 0
iam_evaluator.enforce = _enforce_and_record
app.main()
