"""How a service declares what it runs in the background: a JobKind, as data, in its own jobs.py."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from tenants.permissions import Role


class Queue(StrEnum):
    """The queues; each can be served by Lambda or by a container of its own."""

    DEFAULT = "default"
    BANK_SYNC = "bank_sync"
    HISTORY = "history"
    MEDIA = "media"


class Reach(StrEnum):
    """Whose rows a job works on."""

    TENANT = "tenant"  # one tenant's, as app_tenant
    PLATFORM = "platform"  # everybody's, as app_operator


@dataclass(frozen=True, slots=True)
class Backoff:
    """Retries of a TransientError: up to `times`, the first after `first_s`, each next after twice as long.

    None waits longer than `longest_s`.
    """

    first_s: int = 5
    times: int = 5
    longest_s: int = 900

    def delay_s(self, attempt: int) -> int:
        """Return the seconds to wait after attempt number `attempt` (1 is the first) failed."""
        return int(min(self.longest_s, self.first_s * 2 ** (attempt - 1)))


@dataclass(frozen=True, slots=True)
class Step:
    """One node of a job's graph; it runs when all steps named in `after` have succeeded."""

    name: str
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobKind:
    """A kind of background work.

    `name` is "<service>.<verb_object>" and the name of its Celery task. `time_limit_s` bounds one attempt at one step.
    `lease_s`: a worker that reports no progress for so long is taken for dead and the step is given to another, so an
    operation reports more often than that. `role`: the least that may try it again or cancel it.
    """

    name: str
    queue: Queue = Queue.DEFAULT
    reach: Reach = Reach.TENANT
    time_limit_s: int = 300
    lease_s: int = 60
    retry: Backoff = Backoff()
    steps: tuple[Step, ...] = (Step("run"),)
    role: Role = Role.MEMBER

    def __post_init__(self) -> None:
        """Check the graph (a step comes after earlier ones only: no cycle) and make the kind findable by name."""
        seen: set[str] = set()
        for step in self.steps:
            if step.name in seen or not seen.issuperset(step.after):
                msg = f"{self.name}: step {step.name!r} is named twice or comes before what it waits for"
                raise ValueError(msg)
            seen.add(step.name)
        if _KINDS.setdefault(self.name, self) != self:
            msg = f"two kinds of job are named {self.name!r}"
            raise ValueError(msg)

    @classmethod
    def named(cls, name: str) -> "JobKind":
        """Return the kind of that name.

        Raises:
            KeyError: no service declares it.
        """
        return _KINDS[name]

    @classmethod
    def all(cls) -> tuple[Self, ...]:
        """Return every kind declared by the services imported so far."""
        return tuple(_KINDS.values())  # type: ignore[arg-type]


_KINDS: dict[str, JobKind] = {}
