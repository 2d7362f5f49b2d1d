"""The hosted page on which a person picks a bank and approves. Plain HTML: a form, no script."""

import datetime as dt
import html
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs

from services.integration.sandbox.endpoints import institutions_in
from services.integration.sandbox.links import LinkSession
from services.integration.sandbox.problems import Problem
from services.integration.sandbox.store import Store

STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 32rem; margin: 3rem auto; padding: 0 1rem }
fieldset { border: 1px solid; border-radius: .5rem; padding: 0 1rem }
label { display: flex; gap: .75rem; padding: .75rem 0; align-items: baseline }
small { display: block }
button { font: inherit; padding: .6rem 1.2rem; margin: 1.25rem .75rem 0 0 }
"""


@dataclass(frozen=True, slots=True)
class Page:
    """An HTML answer; with `location` it sends the browser there."""

    status: str
    content: str
    location: str | None = None


class LinkPage:
    """What `/link/<link token>` shows and takes."""

    def __init__(self, store: Store, *, today: Callable[[], dt.date], now: Callable[[], dt.datetime]) -> None:
        """Link banks in `store`."""
        self._store = store
        self._today = today
        self._now = now

    def show(self, token: str) -> Page:
        """Return the form, or why there is none."""
        try:
            session = self._open_session(token)
        except Problem as problem:
            return _message("404 Not Found", "This link can't be used", str(problem))
        self._store.start_session(token, at=self._now())
        return Page("200 OK", self._form(session))

    def take(self, token: str, form: str) -> Page:
        """Take the person's answer, sent as a form, and send them back to where they came from."""
        try:
            session = self._open_session(token)
        except Problem as problem:
            return _message("404 Not Found", "This link can't be used", str(problem))
        fields = parse_qs(form)
        institution_id = fields.get("institution_id", [""])[0]
        if fields.get("answer") != ["approve"]:
            return self._finish(session, None, "Nothing was linked")
        if session.request.renews_item_id is not None:
            self._store.set_login_required(session.request.renews_item_id, False)
            return self._finish(session, None, "Your consent is renewed")
        if institution_id not in {plan.institution_id for plan in institutions_in(list(session.request.country_codes))}:
            return Page("422 Unprocessable Content", self._form(session, "Choose a bank first."))
        item_id = self._store.link(
            institution_id,
            today=self._today(),
            webhook=session.request.webhook,
            history_days=session.request.history_days,
        )
        return self._finish(session, self._store.create_public_token(item_id, at=self._now()), "Your bank is linked")

    def _open_session(self, token: str) -> LinkSession:
        session = self._store.link_session(token)
        if session.finished_at is not None or self._now() >= session.expires_at:
            raise Problem("INVALID_LINK_TOKEN", "It was used already or has expired.")
        return session

    def _finish(self, session: LinkSession, public_token: str | None, title: str) -> Page:
        self._store.start_session(session.token, at=self._now())
        self._store.finish_session(session.token, at=self._now(), public_token=public_token)
        if session.request.completion_redirect_uri is not None:
            return Page("303 See Other", "", session.request.completion_redirect_uri)
        return _message("200 OK", title, "You can close this page.")

    def _form(self, session: LinkSession, error: str | None = None) -> str:
        client = html.escape(session.request.client_name)
        if session.request.renews_item_id is None:
            wanted = session.request.routing_number
            plans = sorted(
                institutions_in(list(session.request.country_codes)), key=lambda plan: plan.routing_number != wanted
            )
            choices = "".join(
                f'<label><input type="radio" name="institution_id" value="{html.escape(plan.institution_id)}" required'
                f"{' checked' if plan.routing_number == wanted else ''}>"
                f"<span>{html.escape(plan.name)}<small>{html.escape(plan.says)}</small></span></label>"
                for plan in plans
            )
            question = f"<fieldset><legend>Your bank</legend>{choices}</fieldset>"
        else:
            bank = self._store.item(session.request.renews_item_id).institution.name
            question = f"<p>{html.escape(bank)} asks you to sign in again.</p>"
        alert = "" if error is None else f'<p role="alert">{html.escape(error)}</p>'
        return _document(
            "Link a bank",
            f"<p>{client} would like to read your accounts and transactions.</p>{alert}"
            f'<form method="post">{question}'
            '<button name="answer" value="approve">Approve</button>'
            '<button name="answer" value="cancel" formnovalidate>Cancel</button></form>'
            "<p><small>These banks are simulated. No real account is involved.</small></p>",
        )


def _message(status: str, title: str, text: str) -> Page:
    return Page(status, _document(title, f"<p>{html.escape(text)}</p>"))


def _document(title: str, content: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main><h1>{html.escape(title)}</h1>{content}</main></body></html>"
    )
