"""The order of a deployment: what stands around, the migrations, the functions, the ways to them."""

from collections.abc import Callable, Iterator
from typing import Literal

import httpx

from infra import keys, logs, policies, queues, storage, triggers
from infra.api import Domain
from infra.aws import Account
from infra.change import Resource, converge
from infra.functions import Function, Unhealthy
from infra.system import PAGES, STAGES, Stage, System

Say = Callable[[str], object]
What = Stage | Literal["all", "foundation"]
WHATS: tuple[What, ...] = ("all", "foundation", *STAGES)


class WrongAccount(Exception):
    """The credentials at hand are of another account than the environment's."""


class FoundationDiffers(Exception):
    """Keys or roles aren't as described; an administrator must run `manage.py deploy foundation` first."""


def foundation(account: Account, system: System) -> Iterator[Resource]:
    """Yield what an administrator makes: keys, and who may do what."""
    yield keys.MasterKey(account, system)
    yield from policies.roles(account, system)


def resources(account: Account, system: System, what: What, say: Say) -> Iterator[Resource]:
    """Yield everything else that belongs to a stage, or to all, in the order in which it is made."""
    yield from storage.buckets(account, system)
    yield from logs.logs(account, system)
    yield from queues.queues(account, system)
    stages = chosen(system, what)
    for stage in stages:
        yield Function(account, system, stage, say)
    for stage in stages:
        if stage in PAGES:
            yield Domain(account, system, stage)
    if "jobs" in stages:
        yield from triggers.triggers(account, system)


def chosen(system: System, what: What) -> list[Stage]:
    """Return the stages to deploy, the migrations first: no code serves before its tables are there."""
    stages: list[Stage] = ["migrate", "jobs", "media", "web", "console"]
    return [each for each in stages if (each in system.stages and what in ("all", each)) or each == "migrate"]


def deploy(account: Account, system: System, what: What, *, plan: bool, say: Say) -> int:
    """Bring a stage, all, or the foundation to what is described; return how many changes there were.

    Raises:
        WrongAccount, FoundationDiffers: nothing was done.
        Unhealthy: a new version doesn't work; what served before serves.
    """
    if (found := account.number()) != system.account:
        msg = f"these are credentials of account {found}; {system.environment} is in {system.account}"
        raise WrongAccount(msg)
    if what == "foundation":
        return converge(foundation(account, system), plan=plan, say=say)
    lacking = [str(change) for each in foundation(account, system) for change in each.changes()]
    if lacking:
        msg = "an administrator must run `manage.py deploy foundation`: " + "; ".join(lacking)
        raise FoundationDiffers(msg)
    pages = [Function(account, system, stage, say) for stage in chosen(system, what) if stage in PAGES]
    before = {each.stage: each.serving() for each in pages}
    count = converge(resources(account, system, what, say), plan=plan, say=say)
    for each in pages:
        if not plan and each.serving() != before[each.stage]:
            _keep_or_go_back(each, before[each.stage], say)
    return count


def rollback(account: Account, system: System, stage: Stage, *, say: Say) -> None:
    """Let the version serve that served before.

    Raises:
        Unhealthy: there is none.
    """
    function = Function(account, system, stage, say)
    version = function.previous()
    if version is None:
        msg = f"{function.name} has no version to go back to"
        raise Unhealthy(msg)
    function.serve(version)


def _keep_or_go_back(function: Function, before: str | None, say: Say) -> None:
    """Ask through the API, as people do; where that fails let the version before serve again."""
    try:
        check(function.account, function.system, function.stage)
    except Unhealthy:
        if before is not None:
            function.serve(before)
        raise
    say(f"  {function.system.url(function.stage)} is ready")


def check(account: Account, system: System, stage: Stage) -> None:
    """Ask the stage's API whether it is ready, by its own host name, wherever DNS leads that today.

    Raises:
        Unhealthy: it isn't.
    """
    host, domain = system.host(stage), Domain(account, system, stage).domain()
    target = domain and domain["DomainNameConfigurations"][0].get("ApiGatewayDomainName")
    endpoint = account.client("apigatewayv2").meta.endpoint_url
    address = f"https://{target}" if endpoint.endswith(".amazonaws.com") else endpoint
    try:
        with httpx.Client(timeout=60) as client:
            answer = client.get(f"{address}/readyz", headers={"Host": host}, extensions={"sni_hostname": host})
    except httpx.TransportError as error:
        msg = f"{host} doesn't answer: {error}"
        raise Unhealthy(msg) from error
    if answer.status_code != httpx.codes.OK:
        msg = f"{host} isn't ready: {answer.status_code} {answer.text[:200]}"
        raise Unhealthy(msg)
