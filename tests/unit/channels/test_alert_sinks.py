"""Where alerts go: what each receiver is posted, what is refused at the start, and that no secret is ever repeated."""

from __future__ import annotations

import hmac
import logging
import threading
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from pytest_httpserver import HTTPServer

from notify import telemetry
from notify.channels import Channels
from notify.channels.sinks import Bounded, House, sinks
from notify.channels.sinks.registry import SINKS
from notify.dev.mailbox import Mailbox
from notify.errors import InvalidSettings, Unreachable
from notify.model import Alert, AlertState, Channel, Notice, Severity, Word
from notify.settings import load, redact
from tests.mails import all_in
from tests.providers import free_port
from tests.smtp_server import serving

SECRET = "a secret of forty-eight characters, more or less"
KEY = "R03E1234567890abcdefABCDEF123456"
HOOK = "/services/T0SECRET/B0SECRET/xoxSECRET"
NINE = datetime(2026, 5, 1, 9, tzinfo=UTC)
ALERT = Alert(
    name="paused:main",
    state=AlertState.FIRING,
    severity=Severity.ERROR,
    summary="provider main is paused: auth_refused <535 & so on>. Next: notify providers resume main",
    fired_at=NINE,
    seen_at=NINE,
    cleared_at=None,
    times=1,
    told={},
)
FIRED = Notice(ALERT, Word.FIRED)
CLEARED = Notice(replace(ALERT, state=AlertState.CLEARED, cleared_at=NINE), Word.CLEARED)


def house(*providers: str) -> House:
    settings = load(env_file=None, secret_key=SecretStr(SECRET), email_from="Notify <notify@mail.example.org>")
    return House(settings, Channels.from_urls(email=providers, secret=SECRET).providers(Channel.EMAIL))


def sink(url: str, *providers: str) -> Bounded:
    (made,) = sinks([url], house(*providers))
    return made


def at(server: HTTPServer, scheme: str, rest: str = "") -> str:
    return f"{scheme}://127.0.0.1:{server.port}{rest}"


def posted(server: HTTPServer) -> list[Any]:
    return [request.get_json() for request, _ in server.log]


# what receivers get


def test_a_webhook_is_signed_by_the_rules_of_standard_webhooks(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook", method="POST", query_string="of=ops").respond_with_data("", status=204)
    sink(at(httpserver, "http", "/hook?of=ops")).tell(FIRED)
    ((request, _),) = httpserver.log
    key = hmac.digest(SECRET.encode(), b"notify alerts webhook 1", "sha256")
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.data
    expected = b64encode(hmac.digest(key, signed, "sha256")).decode()
    assert request.headers["webhook-signature"] == f"v1,{expected}"
    assert request.headers["webhook-id"] == FIRED.id
    assert request.get_json() == {
        "type": "alert.fired",
        "timestamp": "2026-05-01T09:00:00+00:00",
        "data": {
            "alert": "paused:main",
            "severity": "error",
            "summary": ALERT.summary,
            "fired_at": "2026-05-01T09:00:00+00:00",
            "cleared_at": None,
            "reminder": False,
            "times": 1,
        },
    }


def test_a_webhook_is_told_that_it_is_over(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data("")
    sink(at(httpserver, "http", "/hook")).tell(CLEARED)
    (event,) = posted(httpserver)
    assert event["type"] == "alert.cleared"
    assert event["data"]["cleared_at"] == "2026-05-01T09:00:00+00:00"


def test_slack_gets_one_line_in_which_nothing_is_markup(httpserver: HTTPServer) -> None:
    httpserver.expect_request(HOOK, method="POST").respond_with_data("ok")
    told = sink(at(httpserver, "slack", HOOK))
    told.tell(FIRED)
    told.tell(CLEARED)
    assert [event["text"] for event in posted(httpserver)] == [
        ":red_circle: notify: provider main is paused: auth_refused &lt;535 &amp; so on&gt;. "
        "Next: notify providers resume main",
        ":large_green_circle: notify: over: provider main is paused: auth_refused &lt;535 &amp; so on&gt;.",
    ]


def test_pagerduty_is_triggered_and_resolved_under_one_key(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/v2/enqueue", method="POST").respond_with_json({"status": "success"}, status=202)
    told = sink(f"pagerduty://{KEY}@127.0.0.1:{httpserver.port}")
    told.tell(FIRED)
    told.tell(CLEARED)
    trigger, resolve = posted(httpserver)
    assert trigger == {
        "routing_key": KEY,
        "event_action": "trigger",
        "dedup_key": "notify/mail.example.org/paused:main",
        "payload": {
            "summary": ALERT.summary,
            "source": "mail.example.org",
            "severity": "error",
            "timestamp": "2026-05-01T09:00:00+00:00",
            "component": "paused:main",
        },
    }
    assert resolve == {**{name: trigger[name] for name in ("routing_key", "dedup_key")}, "event_action": "resolve"}


def test_a_mail_goes_through_the_first_provider_that_takes_it(tmp_path: Path) -> None:
    with Mailbox(tmp_path / "mail") as mailbox:
        away = f"smtp://127.0.0.1:{free_port()}"
        told = sink("mailto:ops@example.org", away, f"smtp://127.0.0.1:{mailbox.port}")
        told.tell(FIRED)
        told.tell(CLEARED)
        fired, cleared = sorted(all_in(mailbox.folder), key=lambda mail: str(mail["Subject"]))
    assert (fired["To"], fired["From"]) == ("ops@example.org", "Notify <notify@mail.example.org>")
    assert fired["Subject"] == "[notify] alert: provider main is paused: auth_refused <535 & so on>."
    assert cleared["Subject"].startswith("[notify] over: provider main")
    assert fired["X-Notify-Mode"] is None
    assert "Next: notify providers resume main\r\n" in fired.get_content()


def test_the_same_notice_has_the_same_message_id(tmp_path: Path) -> None:
    with Mailbox(tmp_path / "mail") as mailbox:
        told = sink("mailto:ops@example.org", f"smtp://127.0.0.1:{mailbox.port}")
        for notice in (FIRED, FIRED, CLEARED):
            told.tell(notice)
        assert len({mail["Message-ID"] for mail in all_in(mailbox.folder)}) == 2


def test_a_mail_that_no_provider_takes_is_not_told() -> None:
    with serving(lambda _, step, __: "451 4.3.0 later" if step == "RCPT" else None) as server:
        away = f"smtp://127.0.0.1:{free_port()}"
        with pytest.raises(Unreachable, match=r"no provider took the mail .*unreachable.*recipient_deferred") as raised:
            sink("mailto:ops@example.org", away, server.url).tell(FIRED)
    assert "ops@example.org" not in str(raised.value)


# what does not answer


@pytest.mark.parametrize("scheme", ["http", "slack", "pagerduty"])
@pytest.mark.parametrize("status", [302, 400, 404, 429, 500])
def test_anything_but_yes_is_not_told_and_no_secret_is_repeated(
    httpserver: HTTPServer, scheme: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    location = {"Location": "/elsewhere"} if status == 302 else {}
    httpserver.expect_request("/elsewhere").respond_with_data("ok")
    httpserver.expect_request(HOOK).respond_with_data(f"SECRET {KEY}", status, location)
    httpserver.expect_request("/v2/enqueue").respond_with_data(f"SECRET {KEY}", status, location)
    url = {"pagerduty": f"pagerduty://{KEY}@127.0.0.1:{httpserver.port}"}.get(scheme, at(httpserver, scheme, HOOK))
    with pytest.raises(Unreachable, match=f"{scheme}://127.0.0.1 answered {status}") as raised:
        sink(url).tell(FIRED)
    assert "SECRET" not in str(raised.value)
    assert KEY not in str(raised.value)
    assert len(httpserver.log) == 1


@pytest.mark.parametrize("scheme", ["http", "slack"])
def test_nobody_there_is_not_told(scheme: str) -> None:
    with pytest.raises(Unreachable, match=f"{scheme}://127.0.0.1 does not answer: ConnectError") as raised:
        sink(f"{scheme}://127.0.0.1:{free_port()}{HOOK}").tell(FIRED)
    assert "SECRET" not in str(raised.value)


def test_no_sink_shows_a_secret_of_its_own() -> None:
    urls = [f"slack://hooks.slack.com{HOOK}", f"pagerduty://{KEY}", "https://ops.example.org/SECRET?key=SECRET"]
    for made in sinks(urls, house()):
        shown = f"{made.name} {made.key} {made._sink!r}"
        assert "SECRET" not in shown
        assert KEY not in shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"slack://hooks.slack.com{HOOK}", "slack://hooks.slack.com/***"),
        (f"https://hooks.slack.com{HOOK}", "https://hooks.slack.com/***"),
        (f"pagerduty://{KEY}", "pagerduty://***"),
        (f"pagerduty://{KEY}@events.eu.pagerduty.com", "pagerduty://***"),
    ],
)
def test_a_url_of_a_sink_is_shown_without_what_is_secret_in_it(url: str, shown: str) -> None:
    assert redact(f"posting to {url} failed") == f"posting to {shown} failed"


def test_no_log_line_of_the_client_holds_the_url(httpserver: HTTPServer, caplog: pytest.LogCaptureFixture) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        telemetry.start(load(env_file=None, log_level="DEBUG"))
        root.addHandler(caplog.handler)
        httpserver.expect_request(HOOK).respond_with_data("ok")
        sink(at(httpserver, "slack", HOOK)).tell(FIRED)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert "SECRET" not in "".join(record.getMessage() for record in caplog.records if record.name != "werkzeug")


# what takes too long


class Slow:
    """Takes a notice only when it is allowed to, and says how often it was asked."""

    name = "slow"

    def __init__(self) -> None:
        self.allowed = threading.Event()
        self.done = threading.Event()
        self.asked: list[Word] = []

    def tell(self, notice: Notice) -> None:
        self.asked.append(notice.word)
        self.allowed.wait(60)
        self.done.set()


def test_nobody_waits_longer_than_the_bound_and_what_comes_through_late_is_not_told_anew() -> None:
    slow = Slow()
    bounded = Bounded(slow, key="k", seconds=0.01)
    with pytest.raises(Unreachable, match=r"slow took longer than 0\.01 s"):
        bounded.tell(FIRED)
    with pytest.raises(Unreachable, match="still busy"):
        bounded.tell(CLEARED)
    slow.allowed.set()
    assert slow.done.wait(60)
    _until_told(bounded, FIRED)
    assert slow.asked == [Word.FIRED]


def _until_told(bounded: Bounded, notice: Notice) -> None:
    for _ in range(100):
        try:
            return bounded.tell(notice)
        except Unreachable:
            continue
    raise AssertionError("never told")


def test_a_defect_of_a_sink_is_no_more_than_a_word_not_told() -> None:
    class Broken:
        name = "broken"

        def tell(self, notice: Notice) -> None:
            raise KeyError(notice.id)

    bounded = Bounded(Broken(), key="k")
    for _ in range(2):
        with pytest.raises(Unreachable, match="broken: KeyError"):
            bounded.tell(FIRED)


# what is refused at the start


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("slak://hooks.slack.com/services/SECRET", "unknown scheme 'slak'; did you mean 'slack'?"),
        ("malto:ops@example.org", "unknown scheme 'malto'; did you mean 'mailto'?"),
        ("SECRETSECRETSECRET", "no scheme"),
        ("slack://hook.slack.com/services/T/B/SECRET", "host: is none of Slack's; did you mean 'hooks.slack.com'?"),
        ("slack://hooks.slack.com/service/T/B/SECRET", "path: must be that of an incoming webhook: /services/"),
        ("slack://hooks.slack.com/services/T/B/x?channel=SECRET", "options: 'channel' is unknown"),
        ("https://hooks.slack.com/services/T/B/SECRET", "scheme: Slack reads another form; write slack://"),
        ("http://ops.example.org/SECRET", "scheme: http is for this machine alone; write https://"),
        ("https:///SECRET", "host: is missing"),
        ("https://ops.example.org:99999/SECRET", "port: must be a number from 1 to 65535"),
        ("pagerduty://SECRET", "key: an integration key of Events API v2 has 32 letters and digits"),
        (f"pagerduty://{KEY}@events.pagerduty.com/SECRET", "path: is not expected"),
        ("mailto://ops@example.org", "address: follows the colon at once"),
        ("mailto:ops", "address: is none; write mailto:ops@example.org"),
        ("mailto:ops@example.org?subject=SECRET", "options: mailto: has none"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_by_the_part_at_fault(url: str, said: str) -> None:
    with pytest.raises(InvalidSettings) as raised:
        sinks([url], house())
    assert str(raised.value).startswith("NOTIFY_ALERT_SINKS: ")
    assert said in str(raised.value)
    assert "SECRET" not in str(raised.value)
    assert KEY not in str(raised.value)


def test_a_sink_that_is_named_twice_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="named twice"):
        sinks(["mailto:ops@example.org", "mailto:ops@example.org"], house())


def test_the_documents_of_each_scheme_can_be_used() -> None:
    urls = ["mailto:ops@example.org", "https://o.example/h", "http://localhost/h", "slack://mm.example.org/hooks/x"]
    assert len(sinks([*urls, f"pagerduty://{KEY}"], house())) == len(SINKS)
