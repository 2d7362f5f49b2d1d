"""The page of the net worth and its history."""

import datetime as dt
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from fatfire.kit.clock import local_date, now
from fatfire.web.access import page
from fatfire.web.attention import banks_of
from fatfire.web.charts import Chart, Line, chart_of
from fatfire.web.shell import may_write, shell_of
from fatfire.web.shell import show as show_page
from fatfire.web.templatetags.money import money_text
from services.analytics import queries as analytics
from services.analytics.queries import Change, Range, Totals
from services.core.models import Portfolio
from services.exchange.queries import RateUnknown

_TABLE_ROWS = 14


@dataclass(frozen=True, slots=True)
class Choice:
    """A range that can be chosen: on its button, and in a sentence."""

    range: Range
    label: str
    words: str


CHOICES = (
    Choice(Range.ONE_MONTH, "1M", "past month"),
    Choice(Range.THREE_MONTHS, "3M", "past 3 months"),
    Choice(Range.ONE_YEAR, "1Y", "past year"),
    Choice(Range.ALL, "All", "all time"),
)


@dataclass(frozen=True, slots=True)
class History:
    """What the page shows of a portfolio over a range; `rows` newest first, some of the days.

    `is_estimated`: at least one of the days is.
    """

    change: Change
    chart: Chart | None
    rows: tuple[Totals, ...]
    is_estimated: bool


@require_safe
@page
def show(request: HttpRequest) -> HttpResponse:
    """Show assets, debts and what is left, how they changed over a range, and a chart of it.

    htmx asks for the part that changes with the range, and gets that alone.
    """
    shell = shell_of(request, "net-worth")
    portfolio = shell.portfolio
    wanted = request.GET.get("range")
    choice = next((each for each in CHOICES if each.range == wanted), CHOICES[2])
    history = _history(portfolio, shell.currency, choice.range) if portfolio else None
    is_changing = portfolio is not None and (
        portfolio.revalue_from is not None or (history is None and bool(banks_of(portfolio).first_imports))
    )
    if is_changing and "waiting" in request.GET:
        return HttpResponse(status=204)  # htmx leaves the page as it is, and asks again
    template = "web/net_worth.html"
    if request.htmx and not request.htmx.boosted:  # type: ignore[attr-defined]
        template += "#body"
    response = show_page(
        request,
        template,
        shell,
        choices=CHOICES,
        choice=choice,
        history=history,
        is_changing=is_changing,
        waiting=f"{reverse('net-worth')}?range={choice.range}&",
        may_write=may_write(request),
    )
    response["Vary"] = "HX-Request"
    return response


def _history(portfolio: Portfolio, currency: str, chosen: Range) -> History | None:
    """Return what the range shows; None while the portfolio has no history, or one that nothing converts yet."""
    today = local_date(now(), portfolio.time_zone)
    start = analytics.start_of(chosen, end=today)
    try:
        change = analytics.change(portfolio_id=portfolio.id, start=start or dt.date.min, end=today, currency=currency)
        days = analytics.series(portfolio_id=portfolio.id, start=start, end=today, currency=currency)
    except (analytics.NoHistory, RateUnknown):
        return None
    rows = tuple(days[::-1][:: max(1, len(days) // _TABLE_ROWS)])
    return History(change, _chart(days), rows, any(each.estimated for each in days))


def _chart(days: list[Totals]) -> Chart | None:
    """Return the chart; debts are drawn by their size, so that it can be seen against the assets'."""
    figures = (
        ("net-worth", "Portfolio", [each.net_worth for each in days], 1),
        ("assets", "Assets", [each.assets for each in days], 1),
        ("debts", "Debts", [each.debts for each in days], -1),
    )
    currency = days[0].currency if days else ""
    lines = [
        Line(
            key, label, tuple(sign * value for value in values),
            tuple(money_text(value, currency, currency) for value in values),
        )
        for key, label, values, sign in figures
    ]  # fmt: skip
    return chart_of([each.day for each in days], lines, estimated=[each.estimated for each in days])
