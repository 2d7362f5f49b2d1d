"""Whether the database bears what the functions may open: counted before a deploy, not found out after it."""

from dataclasses import dataclass

from infra.system import Stage, System

CONNECTIONS: dict[Stage, int] = {"web": 1, "console": 2, "jobs": 2, "media": 1, "migrate": 1}
"""How many connections one running copy of a stage's function keeps: one a role (app_tenant, app_operator, owner)."""

VERSIONS = 2
"""While one version takes over from another, the frozen copies of the old one still hold their connections."""

RESERVED = 3
"""superuser_reserved_connections, which PostgreSQL keeps from everybody else. Source: PostgreSQL 18, its default."""

SHARE = 80
"""How many per cent of the rest may be promised: a person with psql, a drill and a backup need some too."""


@dataclass(frozen=True, slots=True)
class Line:
    """What one stage may open."""

    what: str
    copies: int
    connections: int

    @property
    def total(self) -> int:
        """Return the connections of all copies of both versions."""
        return self.copies * self.connections * VERSIONS


def lines(system: System) -> list[Line]:
    """Return what each stage may open, those that are deployed."""
    return [Line(stage, system.concurrency[stage], CONNECTIONS[stage]) for stage in system.stages]


def allowed(system: System) -> int:
    """Return how many connections may be promised in all."""
    return (system.database.connections - RESERVED) * SHARE // 100


def problems(system: System) -> list[str]:
    """Return what is promised and can't be kept, in words for who wrote the environment's file."""
    found = []
    promised = sum(each.total for each in lines(system)) + system.database.others
    if promised > allowed(system):
        found.append(
            f"the functions may open {promised} connections; the database's {system.database.connections} allow for "
            f"{allowed(system)}: lower concurrency, or take a larger database\n{table(system)}"
        )
    busy = sum(system.queues.values())
    if busy > system.concurrency["jobs"]:
        found.append(
            f"the queues may keep {busy} copies of jobs busy, and there are {system.concurrency['jobs']}: "
            "what isn't let in comes back as a failed delivery"
        )
    return found


def table(system: System) -> str:
    """Return the sum line by line."""
    rows = [
        f"{each.what:<10} {each.copies:>5} copies x {each.connections} x {VERSIONS} versions = {each.total:>5}"
        for each in lines(system)
    ]
    return "\n".join([*rows, f"{'others':<10} {system.database.others:>40}"])
