"""What needs a person's attention: facts about a portfolio that only they can mend, the gravest first."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.urls import reverse

from fatfire.web.shell import Shell
from services.core import queries as core
from services.core.models import Asset, Portfolio
from services.integration import queries as integration
from services.integration.jobs import SYNC_LINK
from services.integration.models import Link, LinkState
from services.jobs import queries as jobs
from services.jobs.models import OPEN, Job, State

BANK_DAYS, MANUAL_DAYS = 2, 90
"""After how many days a bank's values, and those kept by hand, are old."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to mend: what it is, what it means, and where it is mended. `is_bad`: something doesn't work."""

    title: str
    text: str
    action: str
    path: str
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class Banks:
    """A portfolio's links that are in use, oldest first, and the newest job of each that has one."""

    links: tuple[Link, ...]
    jobs: dict[UUID, Job]

    @property
    def first_imports(self) -> tuple[Link, ...]:
        """The links that are being read for the first time: nothing of them is known yet."""
        return tuple(each for each in self.links if each.synced_at is None and self.is_open(each))

    def is_open(self, link: Link) -> bool:
        """Return whether a job is at work on the link."""
        job = self.jobs.get(link.id)
        return job is not None and job.state in OPEN

    def has_failed(self, link: Link) -> bool:
        """Return whether the last reading failed."""
        job = self.jobs.get(link.id)
        return job is not None and job.kind == SYNC_LINK.name and job.state == State.FAILED


def banks_of(portfolio: Portfolio) -> Banks:
    """Return the portfolio's banks. Two queries."""
    in_use = integration.list_links().filter(portfolio_id=portfolio.id, state__in=(LinkState.ACTIVE, LinkState.REVOKED))
    links = tuple(in_use.defer("access_token", "link_token", "cursor").order_by("created_at", "id"))
    return Banks(links, jobs.newest_jobs(subject_ids=[link.id for link in links]))


def notices_of(
    shell: Shell, *, assets: Sequence[Asset], unrated: set[str], banks: Banks, is_estimated: bool, at: dt.datetime
) -> list[Notice]:
    """Return what is to be mended, the gravest first. One query.

    `assets`: the open ones of the portfolio with `value` and `value_on`; `unrated`: those of their currencies that
    nothing converts; `is_estimated`: today's totals hold an estimate.
    """
    return [
        *_broken(banks),
        *_unknown(assets),
        *_unrated(assets, unrated),
        *_old(banks, assets, at),
        *([_ESTIMATED] if is_estimated else []),
        *_empty(shell),
    ]


_ESTIMATED = Notice(
    "Totals are estimated",
    "An exchange rate of the past days isn't known yet, so an older one is used, or a value had to be worked back.",
    "See the history",
    "/net-worth",
)


def _broken(banks: Banks) -> Iterator[Notice]:
    """Yield the banks that want a new sign-in, then those that couldn't be read."""
    for link in banks.links:
        if link.state == LinkState.REVOKED:
            text = "Nothing new is read until you sign in there again."
            yield Notice(f"{_name(link)} wants a new sign-in", text, "Sign in", _bank_path(link), is_bad=True)
    for link in banks.links:
        if link.state == LinkState.ACTIVE and banks.has_failed(link):
            text = "Its last reading failed: what you see may be out of date."
            yield Notice(f"{_name(link)} could not be read", text, "See why", _bank_path(link), is_bad=True)


def _unknown(assets: Sequence[Asset]) -> Iterator[Notice]:
    unknown = [each for each in assets if each.value is None]  # type: ignore[attr-defined]  # by list_assets
    if not unknown:
        return
    first = unknown[0]
    path = reverse("asset", args=[first.id]) if first.is_manual else reverse("accounts")
    action = "Enter a value" if first.is_manual else "See the account"
    others = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
    yield Notice(f"{first.name}{others}: no value yet", "What has no value is left out of the totals.", action, path)


def _unrated(assets: Sequence[Asset], unrated: set[str]) -> Iterator[Notice]:
    for currency in sorted(unrated):
        names = [each.name for each in assets if each.currency == currency]
        yield Notice(
            f"No exchange rate for {currency}",
            f"{', '.join(names)} can't be converted, and {'is' if len(names) == 1 else 'are'} left out of the totals.",
            "See portfolios",
            reverse("portfolios"),
        )


def _old(banks: Banks, assets: Sequence[Asset], at: dt.datetime) -> Iterator[Notice]:
    """Yield the banks that weren't read for days, then what is kept by hand and has not been valued for months."""
    for link in banks.links:
        is_healthy = link.state == LinkState.ACTIVE and not banks.has_failed(link) and not banks.is_open(link)
        if is_healthy and link.synced_at and (days := (at - link.synced_at).days) >= BANK_DAYS:
            yield Notice(f"{_name(link)} was last read {days} days ago", "", "Refresh", _bank_path(link))
    oldest = at.date() - dt.timedelta(days=MANUAL_DAYS)
    old = [each for each in assets if each.is_manual and each.value_on and each.value_on < oldest]  # type: ignore[attr-defined]
    if len(old) == 1:
        text = f"It was last valued more than {MANUAL_DAYS} days ago."
        yield Notice(f"{old[0].name} has an old value", text, "Enter a value", reverse("asset", args=[old[0].id]))
    elif old:
        text = f"They were last valued more than {MANUAL_DAYS} days ago."
        yield Notice(f"{len(old)} things have old values", text, "Enter values", reverse("assets"))


def _empty(shell: Shell) -> Iterator[Notice]:
    """Yield the other portfolios with nothing in them; the chosen one's page says so by itself."""
    empty = core.portfolios_without_assets()
    for each in shell.portfolios:
        if each.id in empty and each != shell.portfolio:
            yield Notice(f"Nothing in {each.name} yet", "", "See portfolios", reverse("portfolios"))


def _name(link: Link) -> str:
    return link.institution or "Your bank"


def _bank_path(link: Link) -> str:
    return f"{reverse('accounts')}#bank-{link.id}"
