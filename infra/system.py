"""The description of one environment, from one file, and the names of all that belongs to it."""

import json
import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fatfire.kit.sqs import DEAD, queue_name
from services.jobs.jobs import Queue

BASE_DIR = Path(__file__).resolve().parent.parent
ENVIRONMENTS = BASE_DIR / "infra" / "environments"
PROJECT = "fatfire"
ALIAS = "live"
"""The alias of each function's version that serves; everything that invokes names it."""

Stage = Literal["web", "console", "jobs", "media", "migrate"]
STAGES: tuple[Stage, ...] = ("web", "console", "jobs", "media", "migrate")
PAGES: tuple[Stage, ...] = ("web", "console")
"""The stages with an API of their own."""
INVOKED: dict[Queue, Stage] = {Queue.MEDIA: "media"}
"""The queues each of whose messages is an invocation of a stage's function of its own: one video is many at once."""
POLLED = tuple(queue for queue in Queue if queue not in INVOKED)
"""The queues on SQS from which the jobs' function takes batches."""

Url = Annotated[str, Field(pattern=r"^(https://[a-z0-9.-]+|http://[a-z0-9.-]+\.localhost:\d+)$")]
"""Where people go; by plain HTTP and a port on the emulator alone, which browsers find by any name of .localhost."""
Concurrency = Annotated[int, Field(ge=0, le=10_000)]


class InvalidDescription(ValueError):
    """The environment's file is missing, or says something that can't be."""


class Database(BaseModel):
    """What the database bears."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connections: int = Field(ge=1)  # max_connections
    others: int = Field(default=0, ge=0)  # what container workers and whoever else may open


class Network(BaseModel):
    """Where the functions run; nothing said: outside any network of ours."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()


class Static(BaseModel):
    """Where the static files are, when not in the functions: a bucket that a CDN reads, and the CDN's address."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{2,62}$")
    url: str = Field(pattern=r"^https://[^\s?#]+/$")


class System(BaseModel):
    """One environment: an AWS account and a region of its own, one database, one site."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    environment: str = Field(pattern=r"^[a-z][a-z0-9-]{1,19}$")
    account: str = Field(pattern=r"^\d{12}$")
    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    architecture: Literal["x86_64", "arm64"] = "x86_64"
    site_url: Url
    console_url: Url
    certificate: str = Field(default="", pattern=r"^(arn:aws:acm:\S+)?$")
    alarm_email: str
    github_subject: str = Field(default="", pattern=r"^(repo:[^\s*]+:environment:[^\s*]+)?$")
    concurrency: dict[Stage, Concurrency]
    queues: dict[Queue, Annotated[int, Field(ge=2, le=1000)]]
    database: Database
    network: Network = Network()
    static: Static | None = None
    settings: dict[str, str] = {}

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if missing := {*STAGES} - {*self.concurrency}:
            msg = f"concurrency says nothing of {', '.join(sorted(missing))}"
            raise ValueError(msg)
        if wrong := {*POLLED} ^ {*self.queues}:
            msg = f"queues says nothing of, or has no use for, {', '.join(sorted(wrong))}"
            raise ValueError(msg)
        if self.site_url == self.console_url:
            msg = "the console needs a host of its own"
            raise ValueError(msg)
        return self

    @classmethod
    def load(cls, name: str) -> Self:
        """Return the environment of that name, or of the file at that path.

        Raises:
            InvalidDescription: there is no such file, or it isn't right; the text says what.
        """
        path = Path(name) if name.endswith(".toml") else ENVIRONMENTS / f"{name}.toml"
        try:
            return cls.model_validate(tomllib.loads(path.read_text()))
        except OSError as error:
            msg = f"there is no environment {name!r}: {path} can't be read"
            raise InvalidDescription(msg) from error
        except (tomllib.TOMLDecodeError, ValidationError) as error:
            msg = f"{path}: {error}"
            raise InvalidDescription(msg) from error

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Return the stages that there are."""
        return STAGES

    def url(self, stage: Stage) -> str:
        """Return where the pages of a stage are."""
        return {"web": self.site_url, "console": self.console_url}[stage]

    def host(self, stage: Stage) -> str:
        """Return the host name of a stage's pages."""
        return str(urlsplit(self.url(stage)).hostname)

    def name(self, what: str) -> str:
        """Return the name of something of this environment."""
        return f"{PROJECT}-{self.environment}-{what}"

    def bucket(self, what: str) -> str:
        """Return the name of a bucket; all accounts of the world share one space of names."""
        return f"{PROJECT}-{self.environment}-{what}-{self.account}"

    def queue(self, queue: Queue, *, dead: bool = False) -> str:
        """Return the name of a queue on SQS, or of where its dead letters go."""
        return queue_name(queue, environment=self.environment) + (DEAD if dead else "")

    @property
    def key_alias(self) -> str:
        """Return the name of the key that wraps the tenants' keys."""
        return f"alias/{self.name('tenants')}"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of something in this account and region."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def function_arn(self, stage: Stage, qualifier: str = "") -> str:
        """Return the ARN of a stage's function, or of one of its versions or aliases."""
        return self.arn("lambda", f"function:{function(stage)}") + (f":{qualifier}" if qualifier else "")

    def queue_arn(self, queue: Queue, *, dead: bool = False) -> str:
        """Return the ARN of a queue."""
        return self.arn("sqs", self.queue(queue, dead=dead))

    def role_arn(self, role: str) -> str:
        """Return the ARN of a role of ours; roles belong to no region."""
        return f"arn:aws:iam::{self.account}:role/{self.name(role)}"

    def variables(self, stage: Stage) -> dict[str, str]:
        """Return the environment of a stage's function: settings, none of them secret."""
        hosts = [self.host(stage)] if stage in PAGES else []
        return {
            **(self.settings if stage != "migrate" else {}),
            "ENVIRONMENT": self.environment,
            "SITE_URL": self.site_url,
            "CONSOLE_URL": self.console_url,
            "ALLOWED_HOSTS": json.dumps(hosts),
            "TRUSTED_PROXIES": "1",  # API Gateway, and nobody in front of it
            **({"API_BEHIND_AUTHORIZER": "true"} if stage in PAGES else {}),  # the console has none: it has no API
            "BROKER_URL": "sqs://",
            "QUEUE_BROKERS": json.dumps({queue: f"lambda://{function(by)}:{ALIAS}" for queue, by in INVOKED.items()}),
            "MEDIA_BUCKET": self.bucket("media"),
            "MEDIA_WORKER_START_SECONDS": "2.5",  # a function's cold start, and its child's
            **({"KMS_KEY_ID": self.key_alias} if stage != "migrate" else {}),
            "SECRETS_PREFIX": self.secrets_prefix(stage),
            "STATIC_ROOT": "static",
            **({"STATIC_URL": self.static.url} if self.static else {}),
        }

    def secrets_prefix(self, stage: Stage) -> str:
        """Return the path in SSM under which the stage's secrets are, and nobody else's."""
        return f"/{PROJECT}/{self.environment}/{stage}/"


def function(stage: Stage) -> str:
    """Return the name of a stage's function, which Zappa makes of the project and the stage."""
    return f"{PROJECT}-{stage}"
