"""The order of a deployment: what stands around, the migrations, the functions, the ways to them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import httpx

from infra import alarms, budget, keys, logs, policies, queues, static, storage, triggers, websocket
from infra.api import Domain
from infra.authorizer import Authorizer
from infra.aws import Account, BotoCoreError, ClientError
from infra.change import Resource, converge, converge_abreast
from infra.functions import Function, Unhealthy
from infra.migrations import DangerousMigrations
from infra.packaging import WrongPython
from infra.system import PAGES, STAGES, InvalidDescription, Stage, System
from infra.triggers import NotAsAsked
from infra.zappa import ZappaFailed

Say = Callable[[str], object]
What = Stage | Literal["all", "foundation"]
WHATS: tuple[What, ...] = ("all", "foundation", *STAGES)


class TooManyConnections(Exception):
    """The database doesn't bear what the functions may open; nothing was done."""


class WrongAccount(Exception):
    """The credentials at hand are of another account than the environment's."""


class NoVersionBefore(Exception):
    """There is none to go back to."""


class FoundationDiffers(Exception):
    """Keys or roles aren't as described; an administrator must run `manage.py deploy foundation` first."""


REFUSALS = (
    BotoCoreError,
    ClientError,
    DangerousMigrations,
    FoundationDiffers,
    InvalidDescription,
    NoVersionBefore,
    NotAsAsked,
    TooManyConnections,
    Unhealthy,
    WrongAccount,
    WrongPython,
    ZappaFailed,
)
"""Why a deployment or a rollback ends early; the text is for whoever started it."""


def foundation(account: Account, system: System) -> Iterator[Resource]:
    """Yield what an administrator makes: keys, and who may do what."""
    yield keys.MasterKey(account, system)
    yield websocket.Socket(account, system)
    yield from policies.roles(account, system)


def surroundings(account: Account, system: System) -> Iterator[Resource]:
    """Yield what functions need before they are there."""
    yield from storage.buckets(account, system)
    yield from logs.logs(account, system)
    yield from queues.queues(account, system)
    if system.static:
        yield static.StaticFiles(account, system, system.static.bucket)


def ways(account: Account, system: System, stages: Sequence[Stage]) -> Iterator[Resource]:
    """Yield what leads to the functions, and what tells people how they are."""
    for stage in stages:
        if stage in PAGES:
            yield Domain(account, system, stage)
    if "web" in stages:
        yield Authorizer(account, system)
        yield websocket.SocketRoutes(account, system)
    if "jobs" in stages:
        yield from triggers.triggers(account, system)
    yield from alarms.alarms(account, system)


def open_account(system: System) -> Account:
    """Return the environment's account.

    Raises:
        WrongAccount: the credentials at hand open another one.
    """
    account = Account.at_hand(system.region)
    if (found := account.number()) != system.account:
        msg = f"these are credentials of account {found}; {system.environment} is in {system.account}"
        raise WrongAccount(msg)
    return account


def deploy(environment: str, what: What, *, plan: bool, say: Say) -> int:
    """Bring a stage, all, or the foundation to what is described; return how many changes there were.

    Raises one of REFUSALS: what served before serves, and a second run goes on from there.
    """
    system = System.load(environment)
    if over := budget.problems(system):
        raise TooManyConnections("\n".join(over))
    account = open_account(system)
    if what == "foundation":
        return converge(foundation(account, system), plan=plan, say=say)
    lacking = [str(change) for each in foundation(account, system) for change in each.changes()]
    if lacking:
        msg = "an administrator must run `manage.py deploy foundation`: " + "; ".join(lacking)
        raise FoundationDiffers(msg)
    stages = [stage for stage in system.stages if what in ("all", stage) and stage != "migrate"]
    functions = [Function(account, system, stage, say) for stage in stages]
    before = {each.stage: (each.serving(), each.previous()) for each in functions}
    count = converge(surroundings(account, system), plan=plan, say=say)
    # No code serves before its tables are there.
    count += converge([Function(account, system, "migrate", say)], plan=plan, say=say)
    count += converge_abreast(functions, plan=plan, say=say)
    count += converge(ways(account, system, stages), plan=plan, say=say)
    for each in functions:
        if each.stage in PAGES and not plan and each.serving() != before[each.stage][0]:
            _keep_or_go_back(each, *before[each.stage], say)
    return count


def rollback(environment: str, stage: Stage, *, say: Say) -> None:
    """Let the version serve that served before.

    Raises one of REFUSALS: nothing was done.
    """
    system = System.load(environment)
    function = Function(open_account(system), system, stage, say)
    version = function.previous()
    if version is None:
        msg = f"{function.name} has no version to go back to"
        raise NoVersionBefore(msg)
    function.serve(version)


def _keep_or_go_back(function: Function, served: str | None, before: str | None, say: Say) -> None:
    """Ask through the API, as people do; where that fails let the version that served serve again, after its own."""
    try:
        check(function.account, function.system, function.stage)
    except Unhealthy:
        if served is not None:
            function.go_back(served, before)
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
