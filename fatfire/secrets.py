"""A function's secrets: parameters of SSM, put into the environment before the settings are read.

Asked for by one signed request and not by boto3's client, whose model of SSM alone takes longer to read than the whole
answer: every cold start waits for this.
"""

import functools
import json
import os
import random
import re
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

_HEADERS = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonSSM.GetParametersByPath"}
_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_PAGE = 10  # the most that SSM gives at once
_TIMEOUT_S = 3
# Many functions that start at once ask for more than SSM answers. Source: AWS, quotas of SSM: 40 a second.
_WAITS_S = (0.2, 0.4, 0.8, 1.6, 3.2)
_PASSING = re.compile("Throttl|TooManyUpdates|InternalServerError|RequestLimitExceeded|ServiceUnavailable")


class SecretsNotLoaded(RuntimeError):
    """The secrets can't be had, so nothing may start; the text names no value."""


@functools.cache  # of a call that failed nothing is kept
def load() -> None:
    """Set each parameter under SECRETS_PREFIX (/fatfire/production/web/) as the variable of its name, once per process.

    What is in SSM counts, whatever the environment says of the same variable. Without SECRETS_PREFIX it does nothing.

    Raises:
        SecretsNotLoaded: SSM refused or can't be reached, there is nothing under the prefix, or a name there is none
            of a variable. The environment is as it was.
    """
    prefix = os.environ.get("SECRETS_PREFIX", "")
    if not prefix:
        return
    if not prefix.startswith("/") or not prefix.endswith("/"):
        msg = f"SECRETS_PREFIX must begin and end with a slash, not {prefix!r}"
        raise SecretsNotLoaded(msg)
    found = {each["Name"].removeprefix(prefix): each["Value"] for each in _parameters(prefix)}
    if wrong := sorted(name for name in found if not _NAME.fullmatch(name)):
        msg = f"these under {prefix} are no names of variables: {', '.join(wrong)}"
        raise SecretsNotLoaded(msg)
    if not found:
        msg = f"there is no parameter under {prefix}"
        raise SecretsNotLoaded(msg)
    os.environ.update(found)


def _parameters(path: str) -> Iterator[dict[str, str]]:
    """Yield every parameter of a path, page by page."""
    ssm, token = _Ssm(), ""
    while True:
        page = ssm.ask(
            {"Path": path, "WithDecryption": True, "MaxResults": _PAGE} | ({"NextToken": token} if token else {})
        )
        yield from page["Parameters"]
        if not (token := page.get("NextToken", "")):
            return


class _Ssm:
    """Signs and sends requests as boto3 would."""

    def __init__(self) -> None:
        # Who has no SECRETS_PREFIX doesn't wait for botocore.
        from botocore.httpsession import URLLib3Session  # type: ignore[import-untyped]
        from botocore.session import get_session  # type: ignore[import-untyped]

        session = get_session()
        self._region = os.environ.get("AWS_REGION") or session.get_config_variable("region")
        self._credentials = session.get_credentials()
        if self._credentials is None or not self._region:
            msg = "SECRETS_PREFIX is set, but there are no credentials or no region to ask SSM with"
            raise SecretsNotLoaded(msg)
        endpoint = os.environ.get("AWS_ENDPOINT_URL") or f"https://ssm.{self._region}.amazonaws.com"
        self._url = endpoint.rstrip("/") + "/"
        self._http = URLLib3Session(timeout=_TIMEOUT_S)

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return a page of parameters; ask again while SSM is busy.

        Raises:
            SecretsNotLoaded: it refuses, or is busy for too long.
        """
        for wait_s in (*_WAITS_S, None):
            status, content = self._send(json.dumps(question).encode())
            if status == HTTPStatus.OK:
                page: dict[str, Any] = json.loads(content)
                return page
            refusal = _code(content)
            if wait_s is None or not (status >= 500 or _PASSING.search(refusal)):
                break
            time.sleep(random.uniform(0, wait_s))  # noqa: S311  # so that they don't all come back at once
        msg = f"SSM doesn't give what is under {question['Path']}: {status} {refusal}"
        raise SecretsNotLoaded(msg)

    def _send(self, body: bytes) -> tuple[int, bytes]:
        """Return the answer's status and content."""
        from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
        from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
        from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]

        request = AWSRequest("POST", self._url, headers=_HEADERS, data=body)
        SigV4Auth(self._credentials.get_frozen_credentials(), "ssm", self._region).add_auth(request)
        try:
            answer = self._http.send(request.prepare())
        except BotoCoreError as error:
            return HTTPStatus.SERVICE_UNAVAILABLE, type(error).__name__.encode()
        return answer.status_code, answer.content


def _code(content: bytes) -> str:
    """Return the name of SSM's refusal; its text might repeat what was asked."""
    try:
        return str(json.loads(content)["__type"]).rpartition("#")[2]
    except (ValueError, KeyError, TypeError):
        return content[:80].decode(errors="replace")
