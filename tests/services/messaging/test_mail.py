"""Mail: what is sent, what a mail server's answers mean, and that a job tries again with a new link."""

import datetime as dt
import re

import pytest
from django.core.mail import EmailMessage

from fatfire.kit.http import NetworkInTransaction
from services.accounts import sign_in
from services.accounts.sign_in import SignInLinkInvalid
from services.jobs.models import Job, JobStep
from services.messaging.local import LocalBackend
from services.messaging.operations import MailNotTaken, MailRefused, send_mail
from tenants.isolation import operator, shared
from tests.factories import AT, make_tenant
from tests.services.messaging.smtp import running_mail_server
from tests.sign_in import send_links

EMAIL = "owner@home.example"
MAIL = {
    "to": EMAIL,
    "subject": "Your sign-in link",
    "template": "accounts/sign_in_link",
    "context": {"link": "https://x.example/sign-in/a?b&c"},
}


@pytest.fixture
def server(settings):
    with running_mail_server() as running:
        settings.MAILERS = {"default": running.mailer}
        yield running


def test_mail_has_a_text_and_a_page(server, settings):
    settings.DEFAULT_FROM_EMAIL = "fatfire <hello@x.example>"

    send_mail(**MAIL)

    [taken] = server.taken
    assert {name: taken[name] for name in ("To", "From", "Subject")} == {
        "To": EMAIL,
        "From": "fatfire <hello@x.example>",
        "Subject": "Your sign-in link",
    }
    text, page = (taken.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert "https://x.example/sign-in/a?b&c" in text.splitlines()
    assert '<a href="https://x.example/sign-in/a?b&amp;c">' in page


ANSWERS = [
    ({"RCPT": "550 5.1.1 no such user owner@home.example"}, MailRefused),
    ({"RCPT": "452 4.2.2 mailbox full"}, MailNotTaken),
    ({"MAIL": "451 4.3.0 later"}, MailNotTaken),
    ({"MAIL": "553 5.1.8 not from you"}, MailRefused),
    ({"DATA": "554 5.6.0 spam"}, MailRefused),
    ({"END": "451 4.3.0 later"}, MailNotTaken),
    ({"END": "552 5.3.4 too long"}, MailRefused),
    ({"EHLO": "421 closing", "HELO": "421 closing"}, MailNotTaken),
]


@pytest.mark.parametrize(("answers", "error"), ANSWERS, ids=[str(answers) for answers, _ in ANSWERS])
def test_answers_are_told_apart(server, answers, error):
    server.answers.update(answers)

    with pytest.raises(error) as raised:
        send_mail(**MAIL)

    assert raised.value.detail == error.title()  # nothing of what the server said


def test_server_that_is_gone_is_tried_later(settings):
    with running_mail_server() as gone:
        settings.MAILERS = {"default": gone.mailer}

    with pytest.raises(MailNotTaken):
        send_mail(**MAIL)


def test_no_mail_is_sent_in_a_transaction(database, server):
    with pytest.raises(NetworkInTransaction), shared():
        send_mail(**MAIL)

    assert server.taken == []


@pytest.fixture
def home(database):
    return make_tenant(slug="home")


def request():
    sign_in.request_sign_in(email=EMAIL, network="192.0.2.1", next_path="/", at=AT)


def links(server):
    bodies = [taken.get_body(("plain",)).get_content() for taken in server.taken]
    return [re.search(r"/sign-in/(\S+)", body)[1] for body in bodies]


def state():
    with operator():
        return Job.objects.get().state, JobStep.objects.get().error_code, JobStep.objects.get().run_after


def test_each_attempt_has_a_new_link_and_the_last_one_works(home, server):
    server.answers["END"] = "451 4.3.0 taken perhaps"
    request()

    send_links(at=AT)
    assert state() == ("running", "mail_not_taken", AT + dt.timedelta(seconds=5))
    server.answers.clear()
    with operator():
        Job.objects.update(state="queued")  # for send_links
    later = AT + dt.timedelta(seconds=6)
    send_links(at=later)

    first, second = links(server)
    assert state()[0] == "succeeded"
    with pytest.raises(SignInLinkInvalid):
        sign_in.use_sign_in_token(secret=first, at=later)
    assert sign_in.use_sign_in_token(secret=second, at=later).tenant_ids == (home.id,)


def test_retry_sends_nothing_once_the_link_was_used(home, server):
    server.answers["END"] = "451 4.3.0 taken perhaps"
    request()
    send_links(at=AT)
    sign_in.use_sign_in_token(secret=links(server)[0], at=AT + dt.timedelta(seconds=1))
    server.answers.clear()
    with operator():
        Job.objects.update(state="queued")
    send_links(at=AT + dt.timedelta(seconds=6))

    assert state()[0] == "succeeded"
    assert len(server.taken) == 1


def test_address_that_is_refused_fails_the_job_and_is_in_no_log(home, server, caplog):
    server.answers["RCPT"] = "550 5.1.1 no such user owner@home.example"
    request()

    send_links(at=AT)

    with operator():
        job = Job.objects.get()
    assert (job.state, job.error_code, job.error_detail) == ("failed", "mail_refused", MailRefused.title())
    assert caplog.text == ""


def test_laptop_prints_mail_and_keeps_it(tmp_path, capsys):
    mail = EmailMessage(subject="Hello", body="A link", to=[EMAIL])

    LocalBackend(str(tmp_path / "mail")).send_messages([mail, mail])

    assert capsys.readouterr().out == f"Mail to {EMAIL}: Hello\nA link\n" * 2
    assert [path.name for path in sorted((tmp_path / "mail").iterdir())] == ["1.eml", "2.eml"]
    assert "To: owner@home.example" in (tmp_path / "mail" / "1.eml").read_text()
