"""Mailboxes that are opened by an access token: the exact words on the wire, renewal, and no secret in any word."""

from __future__ import annotations

import base64
import json
import os
import socket
import stat
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from urllib.parse import quote

import pytest
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from notify.alerts.conditions import observe
from notify.app import App
from notify.channels.oauth import Granted, TokenUrl
from notify.errors import Misconfigured, UnreachableMailbox
from notify.feedback.mailboxes import ImapMailbox, imap_mailboxes, probe, refresh_file, scan, tokens
from notify.feedback.mailboxes.tokens import FromCommand, FromFile, FromUrl, NoToken
from notify.telemetry import subscribed

USER = "bounces@example.org"
OLD, NEW = "old-access-token-" + "x" * 60, "new-access-token-" + "y" * 60
SECRET, REFRESH, RENEWED = "client~secret.8Q", "1//refresh-token", "1//refresh-token-two"
REFUSAL = json.dumps({"status": "400", "schemes": "Bearer", "scope": "https://mail.google.com/"})


@dataclass
class Mailbox:
    """An IMAP server that takes some access tokens and refuses others as Gmail does; `said` is what it was told."""

    port: int
    good: Sequence[str]
    said: list[str] = field(default_factory=list)

    def url(self, **options: object) -> str:
        """Its mailbox, opened by a token."""
        query = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in options.items())
        return f"imap://{quote(USER, safe='')}@127.0.0.1:{self.port}/INBOX?tls=none&auth=xoauth2&timeout=5&{query}"


@contextmanager
def mailbox(*good: str, mechanism: str = "AUTH=XOAUTH2", echo: bool = False) -> Iterator[Mailbox]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Mailbox(listening.getsockname()[1], good)
        thread = threading.Thread(target=_serve, args=(listening, server, mechanism, echo), daemon=True)
        thread.start()
        yield server
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def _serve(listening: socket.socket, server: Mailbox, mechanism: str, echo: bool) -> None:
    while True:
        try:
            line, _ = listening.accept()
        except OSError:  # closed
            return
        with line, line.makefile("rb") as heard:

            def say(text: str, line: socket.socket = line) -> None:
                line.sendall(f"{text}\r\n".encode())

            say(f"* OK [CAPABILITY IMAP4rev1 {mechanism}] ready")
            for command in heard:
                tag, verb, *_ = command.decode().split()
                if verb == "AUTHENTICATE":
                    say("+ ")
                    given = heard.readline().decode().strip()
                    server.said.append(base64.b64decode(given).decode())
                    if not any(f"Bearer {one}\1" in server.said[-1] for one in server.good):
                        say("+ " + base64.b64encode(REFUSAL.encode()).decode())
                        server.said.append(heard.readline().decode())
                        say(f"{tag} NO [AUTHENTICATIONFAILED] no, {given}")
                        continue
                elif verb in ("SELECT", "EXAMINE"):
                    if echo:
                        say(f"{tag} NO {server.said[-1].encode()!r} {base64.b64encode(server.said[-1].encode())!r}")
                        continue
                    say("* 0 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 1] x")
                elif verb == "CAPABILITY":
                    say(f"* CAPABILITY IMAP4rev1 {mechanism}")
                say(f"{tag} OK done")


def read(app: App, url: str) -> ImapMailbox:
    (box,) = imap_mailboxes(app.settings.model_copy(update={"mailboxes": (SecretStr(url),)}))
    return box


def sasl(token: str) -> str:
    return f"user={USER}\1auth=Bearer {token}\1\1"


@pytest.fixture(autouse=True)
def _another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test has the tokens of another."""
    begin_anew(monkeypatch)


def begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_made", cache(FromUrl))


@pytest.fixture
def giving(httpserver: HTTPServer) -> HTTPServer:
    """A token URL at /o/token/, which tells what was asked in `log`."""
    return httpserver


def asked(server: HTTPServer) -> list[dict[str, str]]:
    return [request.form.to_dict() for request, _ in server.log]


def by_refresh(box: Mailbox, server: HTTPServer, **more: object) -> str:
    given: dict[str, object] = {"refresh_token": REFRESH, **more}
    return box.url(token_url=server.url_for("/o/token/"), client_id="me.apps", client_secret=SECRET, **given)


def test_a_token_is_fetched_for_a_refresh_token_and_said_by_xoauth2(app: App, giving: HTTPServer) -> None:
    giving.expect_oneshot_request("/o/token/", "POST").respond_with_json({"access_token": NEW, "expires_in": 3599})
    with mailbox(NEW) as box:
        assert probe(read(app, by_refresh(box, giving))) == 0
    assert box.said == [sasl(NEW)]
    assert asked(giving) == [
        {"grant_type": "refresh_token", "client_id": "me.apps", "client_secret": SECRET, "refresh_token": REFRESH}
    ]


def test_a_token_is_fetched_for_the_client_itself_as_microsoft_365_has_it(app: App, giving: HTTPServer) -> None:
    scope = "https://outlook.office365.com/.default"
    giving.expect_oneshot_request("/o/token/", "POST").respond_with_json({"access_token": NEW, "expires_in": "3599"})
    with mailbox(NEW) as box:
        url = box.url(token_url=giving.url_for("/o/token/"), client_id="id", client_secret=SECRET, scope=scope)
        (found,) = scan(app, [read(app, url)])
    assert (found.problem, box.said) == (None, [sasl(NEW)])
    assert asked(giving) == [
        {"grant_type": "client_credentials", "client_id": "id", "client_secret": SECRET, "scope": scope}
    ]


def test_a_token_is_kept_until_it_is_refused_and_then_renewed_once(app: App, giving: HTTPServer) -> None:
    for token in (OLD, NEW):
        giving.expect_ordered_request("/o/token/").respond_with_json({"access_token": token, "expires_in": 3600})
    with mailbox(OLD) as box:
        url = by_refresh(box, giving)
        opened = read(app, url)
        probe(opened)
        probe(opened)
        assert len(giving.log) == 1
        box.good = [NEW]
        probe(opened)
    assert box.said == [sasl(OLD), sasl(OLD), sasl(OLD), "\r\n", sasl(NEW)]
    assert len(giving.log) == 2


def test_a_token_is_kept_from_one_reading_of_the_urls_to_the_next(app: App, giving: HTTPServer) -> None:
    giving.expect_request("/o/token/").respond_with_json({"access_token": NEW, "expires_in": 3600})
    with mailbox(NEW) as box:
        for _ in range(2):
            (found,) = scan(app, [read(app, by_refresh(box, giving))])
            assert found.problem is None
        assert len(giving.log) == 1
        other = read(app, by_refresh(box, giving, refresh_token=RENEWED))
        assert scan(app, [other])[0].problem is None
    assert [one["refresh_token"] for one in asked(giving)] == [REFRESH, RENEWED]


def test_a_new_refresh_token_is_kept_from_one_reading_of_the_urls_to_the_next(app: App, giving: HTTPServer) -> None:
    short = {"access_token": NEW, "expires_in": 1e-6}
    giving.expect_ordered_request("/o/token/").respond_with_json({**short, "refresh_token": RENEWED})
    giving.expect_ordered_request("/o/token/").respond_with_json(short)
    with mailbox(NEW) as box:
        for _ in range(2):
            probe(read(app, by_refresh(box, giving)))
    assert [one["refresh_token"] for one in asked(giving)] == [REFRESH, RENEWED]


def test_mailboxes_of_one_client_that_are_read_at_once_ask_once(app: App, giving: HTTPServer) -> None:
    giving.expect_request("/o/token/").respond_with_json({"access_token": NEW, "expires_in": 3600})
    with ExitStack() as stack:
        servers = [stack.enter_context(mailbox(NEW)) for _ in range(4)]
        found = scan(app, [read(app, by_refresh(one, giving)) for one in servers])
    assert [one.problem for one in found] == [None] * 4
    assert len(giving.log) == 1


def test_who_waits_while_another_asks_is_told_the_same_answer() -> None:
    come, answer = threading.Semaphore(0), threading.Event()
    grants: list[str | None] = []
    told: list[str] = []

    class Slow(TokenUrl):
        def grant(self, refresh_token: str | None = None) -> Granted:
            grants.append(refresh_token)
            assert answer.wait(60)
            raise Misconfigured("invalid_client")

    class Door:
        """A lock before which is counted who comes."""

        def __init__(self) -> None:
            self._lock = threading.Lock()

        def __enter__(self) -> None:
            come.release()
            self._lock.acquire()

        def __exit__(self, *_: object) -> None:
            self._lock.release()

    source = FromUrl(Slow("https://a.example/t", "i"), REFRESH)
    object.__setattr__(source, "_asking", Door())

    def ask() -> None:
        try:
            source.token(anew=False)
        except NoToken as error:
            told.append(error.problem)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert come.acquire(timeout=60)
    answer.set()
    for thread in threads:
        thread.join(60)
    assert told == ["its token URL refuses to give a token (invalid_client)"] * 3
    assert grants == [REFRESH]
    with pytest.raises(NoToken):
        source.token(anew=False)
    assert grants == [REFRESH] * 2, "who comes later asks"


def test_a_file_that_is_away_keeps_no_other_mailbox_from_being_read_and_no_alert_from_being_told(
    app: App, tmp_path: Path
) -> None:
    file, away = tmp_path / "token", tmp_path / "away"
    file.write_text(OLD)
    with mailbox(OLD) as one, mailbox(OLD) as two:
        urls = [
            one.url(token_file=away),
            two.url(token_file=file),
            f"imaps://u:hunter2@127.0.0.1:{two.port}/INBOX?ca={away}",
            f"smtpd://127.0.0.1:2525?cert={away}",
        ]
        settings = app.settings.model_copy(update={"mailboxes": tuple(map(SecretStr, urls))})
        installed = replace(app, settings=settings)
        boxes = imap_mailboxes(settings)
        problems = [found.problem and found.problem.problem for found in scan(installed, boxes)]
        assert problems == [
            "its token file away cannot be read: No such file or directory",
            None,
            "its file of ?ca= cannot be read: No such file or directory",
        ]
        alerts = [one.name for one in observe(installed, app.clock.now()).conditions]
        assert alerts == [f"mailbox:{boxes[0].name}", f"mailbox:{boxes[2].name}"]
        away.write_text(OLD)
        assert scan(installed, imap_mailboxes(settings))[0].problem is None, "it is back"


def test_a_token_that_ends_soon_is_renewed_before_it_is_said(app: App, giving: HTTPServer) -> None:
    for token in (OLD, NEW):
        giving.expect_ordered_request("/o/token/").respond_with_json({"access_token": token, "expires_in": 1e-6})
    with mailbox(OLD, NEW) as box:
        opened = read(app, by_refresh(box, giving))
        probe(opened)
        probe(opened)
    assert box.said == [sasl(OLD), sasl(NEW)]


def test_a_token_that_is_refused_twice_names_the_next_step_and_no_secret(app: App, giving: HTTPServer) -> None:
    for token in (OLD, NEW):
        giving.expect_ordered_request("/o/token/").respond_with_json({"access_token": token})
    told: list[str] = []
    with mailbox() as box, subscribed(lambda name, facts: told.append(f"{name} {facts}")):
        (found,) = scan(app, [read(app, by_refresh(box, giving))])
    assert len(box.said) == 4
    assert found.problem
    assert found.problem.problem == "it refuses the access token: [AUTHENTICATIONFAILED]"
    assert "scope" in str(found.problem)
    quiet(told, str(found.problem))


def test_a_server_without_xoauth2_is_told_nothing(app: App, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(OLD)
    with mailbox(OLD, mechanism="AUTH=PLAIN") as box, pytest.raises(UnreachableMailbox, match="takes no access tokens"):
        probe(read(app, box.url(token_file=tmp_path / "token")))
    assert box.said == []


@pytest.mark.parametrize("token", [OLD, "0paque.9", 'it\'s\\my"own"'])
def test_a_server_that_repeats_the_token_later_gives_it_not_away(app: App, tmp_path: Path, token: str) -> None:
    (tmp_path / "token").write_text(token)
    with mailbox(token, echo=True) as box, pytest.raises(UnreachableMailbox) as caught:
        probe(read(app, box.url(token_file=tmp_path / "token")))
    told = str(caught.value)
    assert "***" in told
    assert token[:4] not in told
    assert token[-4:] not in told
    assert base64.b64encode(sasl(token).encode()).decode()[:16] not in told
    quiet([], told)


@pytest.mark.parametrize(
    ("status", "answer", "told_as"),
    [
        (400, {"error": "invalid_grant", "error_description": f"bad {REFRESH}"}, ("invalid_grant", "agree anew")),
        (
            401,
            {"error": "invalid_client", "error_description": f"AADSTS7000215 {SECRET}"},
            ("AADSTS7", "client_"),
        ),
        (400, {"error": "invalid_scope"}, ("(invalid_scope)", "correct scope")),
        (404, f"no page for {SECRET}", ("(endpoint_wrong, 404)", "correct token_url")),
        (302, "", ("(endpoint_wrong, 302)", "correct token_url")),
        (200, {"token": NEW}, ("(no_access_token, 200)", "correct token_url")),
        (200, {"access_token": "two words"}, ("(no_access_token, 200)", "correct token_url")),
        (200, f"<html>{SECRET}", ("(no_access_token, 200)", "correct token_url")),
        (503, f"away {SECRET}", ("just now: provider failed", "tried again")),
        (429, {"error": "slow_down"}, ("just now: throttled", "tried again")),
    ],
)
def test_a_token_url_that_gives_none_is_named_with_what_to_do(
    app: App, giving: HTTPServer, status: int, answer: object, told_as: tuple[str, str]
) -> None:
    problem, step = told_as
    text = answer if isinstance(answer, str) else json.dumps(answer)
    giving.expect_request("/o/token/").respond_with_data(text, status, {"Location": "/elsewhere"})
    told: list[str] = []
    with mailbox(NEW) as box, subscribed(lambda name, facts: told.append(f"{name} {facts}")):
        (found,) = scan(app, [read(app, by_refresh(box, giving))])
    assert found.problem
    assert problem in found.problem.problem
    assert step in str(found.problem).partition("Next: ")[2]
    assert box.said == []
    quiet(told, str(found.problem))
    assert told


def test_a_token_url_that_is_away_is_named_and_tried_again(app: App, giving: HTTPServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with mailbox(NEW) as box:
        opened = read(app, box.url(token_url=f"http://127.0.0.1:{port}/t", client_id="i", refresh_token=REFRESH))
        with pytest.raises(UnreachableMailbox, match="just now: unreachable"):
            probe(opened)


def test_a_new_refresh_token_takes_the_place_of_the_one_before_in_its_file(
    app: App, giving: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "refresh"
    file.write_text(f"{REFRESH}\n")
    file.chmod(0o640)
    (tmp_path / "link").symlink_to(file)
    new = {"access_token": NEW, "refresh_token": RENEWED}
    giving.expect_ordered_request("/o/token/").respond_with_json(new)
    giving.expect_ordered_request("/o/token/").respond_with_json({"access_token": NEW})
    with mailbox(NEW) as box:
        url = box.url(token_url=giving.url_for("/o/token/"), client_id="i", refresh_token_file=tmp_path / "link")
        probe(read(app, url))
        assert file.read_text() == RENEWED
        assert stat.S_IMODE(file.stat().st_mode) == 0o640
        assert (tmp_path / "link").is_symlink()
        begin_anew(monkeypatch)
        probe(read(app, url))  # as another process would
    assert [one["refresh_token"] for one in asked(giving)] == [REFRESH, RENEWED]
    assert [path.name for path in tmp_path.iterdir() if "refresh" in path.name and path != file] == [".refresh.lock"]


def test_a_refresh_token_is_used_once_however_many_ask_at_a_time(giving: HTTPServer, tmp_path: Path) -> None:
    file = tmp_path / "refresh"
    file.write_text("refresh-0")
    good, withdrawn = ["refresh-0"], []

    def answer(request: Request) -> Response:
        if request.form["refresh_token"] != good[-1]:
            withdrawn.append(request.form["refresh_token"])
            return Response(json.dumps({"error": "invalid_grant"}), 400)
        good.append(f"refresh-{len(good)}")
        return Response(json.dumps({"access_token": NEW, "refresh_token": good[-1]}))

    giving.expect_request("/o/token/").respond_with_handler(answer)
    source = TokenUrl(giving.url_for("/o/token/"), "i")
    start = threading.Barrier(4)

    def ask(_: int) -> str:
        asking = FromUrl(source, None, file)  # as each process has one
        start.wait(60)
        return asking.token(anew=False)

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(ask, range(20))) == [NEW] * 20
    assert withdrawn == []
    assert (file.read_text(), len(good)) == ("refresh-20", 21)


def test_who_waits_for_its_turn_with_a_refresh_token_waits_so_long(tmp_path: Path) -> None:
    file = tmp_path / "refresh"
    with refresh_file.turn(file), pytest.raises(TimeoutError), refresh_file.turn(file, 0.1):
        pass
    with refresh_file.turn(file, 0.1):
        pass


@pytest.mark.parametrize(
    "answer",
    [
        {"access_token": NEW, "refresh_token": "r\u00e9"},
        {"access_token": NEW, "refresh_token": "two words\n"},
        {"access_token": NEW, "refresh_token": ["r"]},
        {"access_token": NEW, "expires_in": int("9" * 400)},
        {"access_token": NEW, "expires_in": {}},
    ],
)
def test_what_cannot_be_read_of_an_answer_spoils_nothing(
    app: App, giving: HTTPServer, tmp_path: Path, answer: object
) -> None:
    file = tmp_path / "refresh"
    file.write_text(REFRESH)
    giving.expect_request("/o/token/").respond_with_data(json.dumps(answer))
    with mailbox(NEW) as box:
        probe(read(app, box.url(token_url=giving.url_for("/o/token/"), client_id="i", refresh_token_file=file)))
    assert file.read_text() == REFRESH
    assert sorted(path.name for path in tmp_path.iterdir() if "refresh" in path.name) == [".refresh.lock", "refresh"]


def test_a_refresh_token_that_another_process_used_meanwhile_is_read_anew(
    app: App, giving: HTTPServer, tmp_path: Path
) -> None:
    file = tmp_path / "refresh"
    file.write_text(REFRESH)

    def answer(request: Request) -> Response:
        if request.form["refresh_token"] == REFRESH:
            file.write_text(RENEWED)
            return Response(json.dumps({"error": "invalid_grant"}), 400)
        return Response(json.dumps({"access_token": NEW}))

    giving.expect_request("/o/token/").respond_with_handler(answer)
    with mailbox(NEW) as box:
        probe(read(app, box.url(token_url=giving.url_for("/o/token/"), client_id="i", refresh_token_file=file)))
    assert box.said == [sasl(NEW)]


def test_a_token_file_is_read_anew_when_its_token_is_refused(app: App, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{OLD}\n")
    with mailbox(OLD) as box:
        opened = read(app, box.url(token_file=file))
        probe(opened)
        file.write_text(NEW)
        box.good = [NEW]
        probe(opened)
        box.good = []
        with pytest.raises(UnreachableMailbox, match="refuses the access token"):
            probe(opened)
    assert box.said == [sasl(OLD), sasl(NEW), sasl(NEW), "\r\n"], "the same token is not said twice"


def test_a_token_file_that_is_a_pipe_is_not_waited_at(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NoToken, match="its token file pipe is no file"):
        FromFile(tmp_path / "pipe").token(anew=False)


def test_a_token_command_is_run_for_each_login_and_without_a_shell(app: App, tmp_path: Path) -> None:
    script, count = tmp_path / "token", tmp_path / "count"
    script.write_text(f'#!/bin/sh\necho "$1" >> {count}\ntest -s {tmp_path}/second && echo {NEW} || echo {OLD}\n')
    script.chmod(0o700)
    with mailbox(OLD) as box:
        opened = read(app, box.url(token_command=f"{script} '; exit 3'"))
        probe(opened)
        (tmp_path / "second").write_text("x")
        box.good = [NEW]
        probe(opened)
    assert box.said == [sasl(OLD), sasl(NEW)]
    assert count.read_text() == "; exit 3\n" * 2


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (f"sh -c 'echo {SECRET} >&2; exit 7'", "its token command sh ends with exit code 7"),
        ("/nowhere/token", "its token command token cannot be run: No such file"),
        ("token \0", "its token command token cannot be run: it failed"),
        ("true", "its token command true gives no token"),
        ("yes", "its token command yes says more than a token"),
        ("echo two words", "its token command echo gives no token"),
    ],
)
def test_a_token_command_that_fails_is_named(app: App, command: str, problem: str) -> None:
    with mailbox(OLD) as box, pytest.raises(UnreachableMailbox) as caught:
        probe(read(app, box.url(token_command=command)))
    assert problem in caught.value.problem
    assert SECRET not in str(caught.value)


def test_a_token_command_that_says_nothing_is_not_waited_for() -> None:
    with pytest.raises(NoToken, match="its token command sleep says nothing in time"):
        FromCommand(("sleep", "60"), 0.1).token(anew=False)


def quiet(told: Sequence[str], error: str) -> None:
    """No secret in any of these words, nor what was made of it."""
    made = [base64.b64encode(sasl(one).encode()).decode()[:40] for one in (OLD, NEW)]
    for secret in (OLD, NEW, SECRET, REFRESH, RENEWED, *made):
        assert not [one for one in (*told, error) if secret in one], secret
