"""The one concept of infra/: a resource tells how it differs from what it should be, each difference with its cure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done to one resource."""

    resource: str
    what: str
    apply: Callable[[], object]

    def __str__(self) -> str:
        """Return one line for people."""
        return f"{self.resource}: {self.what}"


class Resource(Protocol):
    """Something in the account that we keep as described."""

    def changes(self) -> Iterable[Change]:
        """Yield what must be done, in order; nothing when it is as it should be. Reads only."""


def converge(resources: Iterable[Resource], *, plan: bool, say: Callable[[str], object]) -> int:
    """Bring the resources, in order, to what they should be; return how many changes there were.

    A later resource sees what an earlier one has become. With `plan` nothing is changed.
    """
    count = 0
    for resource in resources:
        for change in resource.changes():
            say(f"  {change}")
            count += 1
            if not plan:
                change.apply()
    return count


def converge_abreast(resources: Sequence[Resource], *, plan: bool, say: Callable[[str], object]) -> int:
    """Do the same with resources that don't depend on one another, all at once.

    All are brought to their end before the first of their errors is raised.
    """
    with ThreadPoolExecutor(max_workers=max(1, len(resources))) as pool:
        running = [pool.submit(converge, [each], plan=plan, say=say) for each in resources]
    return sum(each.result() for each in running)


def difference(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """Return in a few words where `found` isn't as `wanted`, or nothing; what isn't wanted doesn't count."""
    return ", ".join(
        f"{name} {found.get(name, 'unset')} → {value}" for name, value in wanted.items() if found.get(name) != value
    )
