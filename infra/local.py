"""The whole system on this machine: an AWS account on the emulator, deployed to as one is to AWS."""

import contextlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3  # type: ignore[import-untyped]

from infra import deployer
from infra.aws import Account
from infra.emulator import ROOT, running_emulator
from infra.system import BASE_DIR, POLLED, PROJECT, Stage, System

ACCOUNT = "000000000000"
ENVIRONMENT = "emulator"
_ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
# Which secrets each function has: those it needs, and no others. A stage that isn't named has none.
SECRETS: Mapping[Stage, tuple[str, ...]] = {
    "web": ("DATABASE_URL", "SECRET_KEY", "PLAID_SECRET"),
    "console": ("DATABASE_URL", "DATABASE_OPERATOR_URL", "SECRET_KEY", "PLAID_SECRET"),
    "jobs": ("DATABASE_URL", "DATABASE_OPERATOR_URL", "SECRET_KEY", "PLAID_SECRET", "MAIL_URL"),
    "media": ("DATABASE_URL", "SECRET_KEY"),
    "migrate": ("DATABASE_OWNER_URL", "SECRET_KEY"),
}


@dataclass(frozen=True)
class AccountHere:
    """An account on the emulator, with keys, roles and secrets; nothing is deployed yet."""

    endpoint: str
    description: Path
    credentials: Mapping[str, str]
    """The deployer's, as environment variables."""
    root: Account

    @property
    def system(self) -> System:
        """Return the environment."""
        return System.load(str(self.description))

    @property
    def root_variables(self) -> dict[str, str]:
        """Return what opens the account as its root, as environment variables."""
        return {**ROOT, "AWS_ENDPOINT_URL": self.endpoint}

    def client(self, service: str) -> Any:
        """Return a client as the account's root."""
        return self.root.client(service)

    def described(self, **settings: str) -> "AccountHere":
        """Return the same account with other settings described; they count once something is deployed."""
        path = self.description.with_stem(f"{ENVIRONMENT}-{len(list(self.description.parent.glob('*.toml')))}")
        path.write_text(_description(self.endpoint, {**self.system.settings, **settings}))
        return replace(self, description=path)

    def manage(self, command: str, what: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run `manage.py deploy` or `rollback` as the deployer, and return what it said."""
        program = [sys.executable, str(BASE_DIR / "manage.py"), command, what, "--environment", str(self.description)]
        environment = {**os.environ, **self.credentials}
        return subprocess.run([*program, *options], env=environment, capture_output=True, text=True, check=False)


@contextlib.contextmanager
def account_here(
    folder: Path,
    *,
    secrets: Mapping[str, str],
    settings: Mapping[str, str],
    port: int = 0,
    calls: Path | None = None,
    log: Path | None = None,
) -> Iterator[AccountHere]:
    """Run an account for the length of the block; an administrator has made its foundation.

    `secrets` and `settings` are environment variables: each function gets those secrets that it needs.
    """
    with running_emulator(port=port, calls=calls, log=log) as endpoint, contextlib.closing(_root(endpoint)) as root:
        description = folder / f"{ENVIRONMENT}.toml"
        description.write_text(_description(endpoint, settings))
        system = System.load(str(description))
        _put_secrets(root.client("ssm"), system, secrets)
        done = AccountHere(endpoint, description, {**ROOT, "AWS_ENDPOINT_URL": endpoint}, root).manage(
            "deploy", "foundation"
        )
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        role = system.role_arn(deployer.ROLE)
        taken = root.client("sts").assume_role(RoleArn=role, RoleSessionName="deployer")["Credentials"]
        credentials = {
            "AWS_ACCESS_KEY_ID": taken["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": taken["SecretAccessKey"],
            "AWS_SESSION_TOKEN": taken["SessionToken"],
            "AWS_DEFAULT_REGION": system.region,
            "AWS_ENDPOINT_URL": endpoint,
        }
        yield AccountHere(endpoint, description, credentials, root)


def _root(endpoint: str) -> Account:
    """Return the account, opened as its root."""
    session = boto3.Session(
        aws_access_key_id=ROOT["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=ROOT["AWS_SECRET_ACCESS_KEY"],
        region_name=ROOT["AWS_DEFAULT_REGION"],
    )
    return Account(session, endpoint=endpoint)


def _description(endpoint: str, settings: Mapping[str, str]) -> str:
    """Return the file that a founder would write. JSON's strings and numbers are TOML's too.

    Pages are where the emulator listens, by plain HTTP, though its gateway says like AWS's that it was HTTPS.
    """
    port = urlsplit(endpoint).port
    urls = [f"http://{host}.localhost:{port}" for host in (PROJECT, f"console.{PROJECT}")]
    settings = {"CSRF_TRUSTED_ORIGINS": json.dumps(urls), "SECURE_COOKIES": "false", **settings}
    lines = [
        f"environment = {json.dumps(ENVIRONMENT)}",
        f"account = {json.dumps(ACCOUNT)}",
        f"region = {json.dumps(ROOT['AWS_DEFAULT_REGION'])}",
        f"architecture = {json.dumps(_ARCHITECTURES[platform.machine().lower()])}",
        f"site_url = {json.dumps(urls[0])}",
        f"console_url = {json.dumps(urls[1])}",
        'alarm_email = "alarms@example.com"',
        "[concurrency]",
        *("web = 10", "console = 1", "jobs = 8", "media = 3", "migrate = 1"),
        "[queues]",
        *(f"{queue} = 2" for queue in POLLED),
        "[database]",
        "connections = 100",
        "[settings]",
        *(f"{name} = {json.dumps(value)}" for name, value in settings.items()),
    ]
    return "\n".join(lines) + "\n"


def _put_secrets(ssm: Any, system: System, secrets: Mapping[str, str]) -> None:
    for stage in system.stages:
        for name in SECRETS[stage]:
            if name in secrets:
                path = f"{system.secrets_prefix(stage)}{name}"
                ssm.put_parameter(Name=path, Value=secrets[name], Type="SecureString", Overwrite=True)
