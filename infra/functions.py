"""The functions: a new version of one is made by Zappa, tried, and then made the one that serves."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from infra import websocket, zappa
from infra.aws import Account, or_none
from infra.change import Change, difference
from infra.migrations import refuse_dangerous
from infra.packaging import Package, package
from infra.system import ALIAS, INVOKED, PAGES, Stage, System, function
from tenants.isolation import OWNER_ALIAS

KEPT_VERSIONS = 10
"""How many versions of a function are kept, for going back."""
_LEFT_BY_ZAPPA = ("Environment", "DeadLetterConfig", "VpcConfig")
"""What Zappa doesn't bring: variables that are no longer ours go, dead letters, a network that is left."""
_BEFORE = re.compile(r"^after version (\d+)$")


class Unhealthy(Exception):
    """A version doesn't work; what served before still does. The text says what it answered."""


@dataclass(frozen=True)
class Function:
    """A stage's function, with the version that serves under the alias `live`."""

    account: Account
    system: System
    stage: Stage
    say: Callable[[str], object] = lambda _: None

    @property
    def name(self) -> str:
        """Return the function's name."""
        return function(self.stage)

    @property
    def package(self) -> Package:
        """Return what it should run."""
        return package(self.stage, self.system)

    def changes(self) -> Iterator[Change]:
        """Yield its next version, where code or configuration differ from what serves."""
        serving = self._configuration(ALIAS)
        differing = difference(self._wanted(), serving or {}) if serving else "create"
        if differing:
            yield Change(f"function {self.name}", differing, self.release)
        wanted = self.system.concurrency[self.stage]
        if serving is not None and (found := self._concurrency()) != wanted:
            yield Change(f"function {self.name}", f"reserved concurrency {found} → {wanted}", self._reserve)

    def release(self) -> None:
        """Make a new version, try it, and let it serve.

        Raises:
            Unhealthy: it doesn't work; the alias is where it was.
        """
        version = self._make_version()
        self.try_version(version)
        self.serve(version)
        self._prune()

    def serving(self) -> str | None:
        """Return the version that serves, or None when none does yet."""
        alias = self._alias()
        return alias["FunctionVersion"] if alias else None

    def previous(self) -> str | None:
        """Return the version that served before, or None when there is none to go back to."""
        alias = self._alias()
        match = _BEFORE.match(alias.get("Description", "")) if alias else None
        return match[1] if match else None

    def serve(self, version: str) -> None:
        """Let that version serve; remember the one before."""
        lambda_, alias = self.account.client("lambda"), self._alias()
        if alias is None:
            lambda_.create_alias(FunctionName=self.name, Name=ALIAS, FunctionVersion=version)
            if self.stage in PAGES:  # its API can name the alias only now that there is one
                zappa.update(self.stage, self._settings(), package=self._address())
        elif alias["FunctionVersion"] != version:
            self._move_alias(version, alias["FunctionVersion"])
        self.say(f"  function {self.name}: version {version} serves")

    def go_back(self, version: str, before: str | None) -> None:
        """Let that version serve again, after the one that was before it: what serves now doesn't work."""
        self._move_alias(version, before)
        self.say(f"  function {self.name}: version {version} serves again")

    def _move_alias(self, version: str, before: str | None) -> None:
        described = f"after version {before}" if before else ""
        self.account.client("lambda").update_alias(
            FunctionName=self.name, Name=ALIAS, FunctionVersion=version, Description=described
        )

    def try_version(self, version: str) -> None:
        """Ask a version whether it works; of `migrate` this is its work.

        Raises:
            Unhealthy: it doesn't.
            DangerousMigrations: what it would do breaks the release that serves.
        """
        if self.stage in PAGES:
            answer = self.invoke(_readiness_request(self.system.host(self.stage), self.stage), version)
            if answer.get("statusCode") != 200:
                msg = f"{self.name} version {version} isn't ready: {answer.get('statusCode')} {answer.get('body')!r}"
                raise Unhealthy(msg)
            return
        if self.stage == "migrate":
            refuse_dangerous(self._listing(version))
        command = ["migrate", "--no-input"] if self.stage == "migrate" else ["check", "--deploy"]
        for line in self.invoke({"manage": command}, version)["output"].splitlines():
            self.say(f"    {line}")

    def _listing(self, version: str) -> str:
        """Return which migrations are applied and which aren't."""
        listed = self.invoke({"manage": ["showmigrations", "--plan", "--database", OWNER_ALIAS]}, version)
        return str(listed["output"])

    def invoke(self, event: dict[str, Any], qualifier: str) -> dict[str, Any]:
        """Return what the function answers.

        Raises:
            Unhealthy: it raised.
        """
        answer = self.account.client("lambda").invoke(
            FunctionName=self.name, Qualifier=qualifier, Payload=json.dumps(event).encode()
        )
        content: dict[str, Any] = json.loads(answer["Payload"].read() or b"null")
        if "FunctionError" in answer:
            msg = f"{self.name} version {qualifier}: {content.get('errorType')}: {content.get('errorMessage')}"
            raise Unhealthy(msg)
        return content

    def _make_version(self) -> str:
        """Have Zappa send code and configuration, and publish both together.

        The version that Zappa publishes has the new code with the old configuration, so one more is published.
        """
        lambda_ = self.account.client("lambda")
        self._upload()
        bring = zappa.deploy if self._configuration() is None else zappa.update
        bring(self.stage, self._settings(), package=self._address())
        lambda_.get_waiter("function_updated_v2").wait(FunctionName=self.name)
        found = self._configuration() or {}
        if difference(self._wanted(), found):
            ours = {name: each for name, each in self._wanted().items() if name in _LEFT_BY_ZAPPA}
            lambda_.update_function_configuration(FunctionName=self.name, **ours)
            lambda_.get_waiter("function_updated_v2").wait(FunctionName=self.name)
        version: str = lambda_.publish_version(FunctionName=self.name)["Version"]
        lambda_.get_waiter("published_version_active").wait(FunctionName=self.name, Qualifier=version)
        return version

    def _upload(self) -> None:
        s3, bucket, key = self.account.client("s3"), self.system.bucket("packages"), self.package.key
        if or_none(s3.head_object, Bucket=bucket, Key=key) is None:
            s3.upload_file(str(self.package.zip()), bucket, key)

    def _address(self) -> str:
        return f"s3://{self.system.bucket('packages')}/{self.package.key}"

    def _settings(self) -> dict[str, Any]:
        """Return what Zappa must know beside what is checked in."""
        network = self.system.network
        return {
            "aws_region": self.system.region,
            "s3_bucket": self.system.bucket("packages"),
            "role_arn": self.system.role_arn(self.stage),
            "architecture": self.system.architecture,
            "lambda_description": self._description(),
            "lambda_concurrency": self.system.concurrency[self.stage],
            "aws_environment_variables": self._variables(),
            **({"vpc_config": _network(network.subnets, network.security_groups)} if network.subnets else {}),
            # Until something serves there is no alias that the API could name.
            **({} if self._alias() else {"apigateway_lambda_qualifier": None}),
        }

    def _variables(self) -> dict[str, str]:
        """Return its environment: what the description says, and where the pages listen."""
        return {**self.system.variables(self.stage), **websocket.addresses(self.account, self.system, self.stage)}

    def _description(self) -> str:
        return f"fatfire {self.system.environment} {self.stage} {self.package.digest}"

    def _wanted(self) -> dict[str, Any]:
        """Return what the serving version's configuration must be, in AWS's own words."""
        written = zappa.stage_settings(self.stage)
        return {
            "Description": self._description(),
            "Role": self.system.role_arn(self.stage),
            "Handler": written["lambda_handler"],
            "Runtime": written["runtime"],
            "MemorySize": written["memory_size"],
            "Timeout": written["timeout_seconds"],
            "EphemeralStorage": written.get("ephemeral_storage", {"Size": 512}),
            "VpcConfig": _network(self.system.network.subnets, self.system.network.security_groups),
            "Environment": {"Variables": self._variables()},
            **({"DeadLetterConfig": {"TargetArn": dead}} if (dead := self._dead_letters()) else {}),
        }

    def _dead_letters(self) -> str | None:
        """Return where invocations go that failed again and again, of a function each of whose messages is one."""
        queue = next((queue for queue, by in INVOKED.items() if by == self.stage), None)
        return self.system.queue_arn(queue, dead=True) if queue else None

    def _configuration(self, qualifier: str | None = None) -> dict[str, Any] | None:
        """Return it in AWS's own words, the network in the same order and as far as it is ours to say."""
        asked = {"FunctionName": self.name, **({"Qualifier": qualifier} if qualifier else {})}
        found = or_none(self.account.client("lambda").get_function_configuration, **asked)
        if found is None:
            return None
        network = found.get("VpcConfig", {})
        return {**found, "VpcConfig": _network(network.get("SubnetIds", ()), network.get("SecurityGroupIds", ()))}

    def _alias(self) -> dict[str, Any] | None:
        return or_none(self.account.client("lambda").get_alias, FunctionName=self.name, Name=ALIAS)

    def _concurrency(self) -> int | None:
        answer = self.account.client("lambda").get_function_concurrency(FunctionName=self.name)
        reserved: int | None = answer.get("ReservedConcurrentExecutions")
        return reserved

    def _reserve(self) -> None:
        self.account.client("lambda").put_function_concurrency(
            FunctionName=self.name, ReservedConcurrentExecutions=self.system.concurrency[self.stage]
        )

    def _prune(self) -> None:
        """Delete the oldest versions, but none that serves or that one would go back to."""
        lambda_ = self.account.client("lambda")
        pages = lambda_.get_paginator("list_versions_by_function").paginate(FunctionName=self.name)
        versions = [each["Version"] for page in pages for each in page["Versions"] if each["Version"] != "$LATEST"]
        kept = {self.serving(), self.previous()}
        for version in sorted(versions, key=int)[:-KEPT_VERSIONS]:
            if version not in kept:
                lambda_.delete_function(FunctionName=self.name, Qualifier=version)


def _network(subnets: Iterable[str], security_groups: Iterable[str]) -> dict[str, list[str]]:
    return {"SubnetIds": sorted(subnets), "SecurityGroupIds": sorted(security_groups)}


def _readiness_request(host: str, stage: Stage) -> dict[str, Any]:
    """Return GET /readyz as the API would hand it on."""
    return {
        "version": "2.0",
        "rawPath": "/readyz",
        "rawQueryString": "",
        "headers": {"host": host, "x-forwarded-proto": "https", "x-forwarded-for": "127.0.0.1"},
        "requestContext": {"stage": stage, "http": {"method": "GET", "path": "/readyz", "sourceIp": "127.0.0.1"}},
        "isBase64Encoded": False,
    }
