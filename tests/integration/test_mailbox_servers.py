"""Servers that speak nonsense, hang up or hold back: the mailbox is named with what is wrong, and nothing is stored."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from notify.app import App
from notify.feedback.mailboxes import imap_mailboxes, scan
from notify.model import IncomingState
from notify.store import incoming, mailboxes
from notify.store.tables import incoming_mails
from notify.telemetry import subscribed
from tests.answers import dsn as bounce

SECRET = "hunter2"
GREETING = "* OK [CAPABILITY IMAP4rev1 IDLE] ready"
SELECTED = "* 1 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 4] x"
SIZED = '* 1 FETCH (UID 3 RFC822.SIZE 100 INTERNALDATE "02-Mar-2026 09:00:00 +0000")'


@contextmanager
def speaking(greeting: str, answers: Mapping[str, str]) -> Iterator[int]:
    """A server that says these lines to each command, and then that it is done; it hangs up at `BYE`."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_serve, args=(listening, greeting, answers), daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def _serve(listening: socket.socket, greeting: str, answers: Mapping[str, str]) -> None:
    while True:
        try:
            line, _ = listening.accept()
        except OSError:  # closed
            return
        with line, line.makefile("rb") as heard:
            line.sendall(f"{greeting}\r\n".encode())
            for command in heard:
                tag, *words = command.decode().split()
                verb = " ".join(words[:2] if words[0] == "UID" else words[:1]).upper()
                if verb == "UID FETCH":
                    one = "BODY" if words[2].isdecimal() and "BODY" in answers else "BODIES"
                    verb = "SIZES" if "RFC822.SIZE" in words[-2] + words[-1] else one
                if verb == "UID SEARCH" and not words[-1].endswith(":*"):
                    verb = "STILL"
                given = words[-1]
                if verb == "AUTHENTICATE":
                    line.sendall(b"+ \r\n")
                    given = heard.readline().decode().strip()
                said = answers.get(verb, "")
                if said == "BYE":
                    break
                status = "" if said.endswith(" …") else f"{tag} OK done\r\n"
                words_back = said.removesuffix(" …").replace("TAG", tag).replace("GIVEN", given)
                line.sendall(((f"{words_back}\r\n" if words_back else "") + status).encode("latin-1"))


def whole(**other: str) -> dict[str, str]:
    """What a server says that works, but for these."""
    mail = bounce("ada@example.net").decode()
    usual = {
        "CAPABILITY": "* CAPABILITY IMAP4rev1 IDLE",
        "SELECT": SELECTED,
        "UID SEARCH": "* SEARCH 3",
        "STILL": "* SEARCH 3",
        "SIZES": SIZED,
        "BODIES": f"* 1 FETCH (UID 3 BODY[]<0> {{{len(mail)}}}\r\n{mail})",
    }
    return usual | {name.replace("_", " "): said for name, said in other.items()}


def scanned(app: App, port: int) -> tuple[int, str | None]:
    """How many mails were read, and what was wrong."""
    url = f"imap://u:{SECRET}@127.0.0.1:{port}/INBOX?tls=none&timeout=2"
    (found,) = scan(app, imap_mailboxes(app.settings.model_copy(update={"mailboxes": (SecretStr(url),)})))
    return found.read, found.problem.problem if found.problem else None


def stored(app: App) -> int:
    with app.store.read() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(incoming_mails)) or 0)


def test_a_server_that_says_what_it_should_is_read(app: App) -> None:
    with speaking(GREETING, whole()) as port:
        assert scanned(app, port) == (1, None)
    assert stored(app) == 1


def test_a_mail_without_size_or_date_is_read_all_the_same(app: App) -> None:
    with speaking(GREETING, whole(SIZES='* 1 FETCH (UID 3 INTERNALDATE "32-Foo-2026 99:00:00")')) as port:
        assert scanned(app, port) == (1, None)


@pytest.mark.parametrize(
    ("greeting", "answers"),
    [
        pytest.param("* BYE go away", {}, id="bye"),
        pytest.param("220 mx.example.org ESMTP", {}, id="another protocol"),
        pytest.param("\x00\xff" * 300, {}, id="octets"),
        pytest.param("x" * 1_100_000, {}, id="an endless line"),
        pytest.param(GREETING, whole(CAPABILITY="BYE"), id="hangs up at once"),
        pytest.param(GREETING, whole(LOGIN="TAG NO [AUTHENTICATIONFAILED] no …"), id="refuses"),
        pytest.param(GREETING, whole(LOGIN="BYE"), id="hangs up at the login"),
        pytest.param(GREETING, whole(LOGIN="TAG BAD LOGIN u hunter2 what? …"), id="repeats the password"),
        pytest.param(GREETING, whole(SELECT="* 1 EXISTS"), id="no uidvalidity"),
        pytest.param(GREETING, whole(SELECT="TAG NO no such folder …"), id="no folder"),
        pytest.param(GREETING, whole(SELECT="* x EXISTS\r\n* OK [UIDVALIDITY y] x"), id="words for numbers"),
        pytest.param(GREETING, whole(UID_SEARCH="* SEARCH three"), id="words for uids"),
        pytest.param(GREETING, whole(UID_SEARCH="TAG BAD what? …"), id="no search"),
        pytest.param(GREETING, whole(SIZES="* 1 FETCH (((("), id="half an answer"),
        pytest.param(GREETING, whole(SIZES='* 1 FETCH (UID 3 RFC822.SIZE "x" INTERNALDATE 5)'), id="wrong types"),
        pytest.param(GREETING, whole(BODIES="BYE"), id="hangs up in the middle"),
        pytest.param(GREETING, whole(BODIES="* 1 FETCH (UID 3 BODY[]<0> {100000000}\r\nshort …"), id="holds back"),
    ],
)
def test_a_server_that_does_not_is_named_with_what_is_wrong(app: App, greeting: str, answers: dict[str, str]) -> None:
    with speaking(greeting, answers) as port:
        read, problem = scanned(app, port)
    assert (read, stored(app)) == (0, 0)
    assert problem
    assert SECRET not in problem


@pytest.mark.parametrize("words", ["NO cannot log in with GIVEN", "BAD what is GIVEN?", "NO [EXPIRED] GIVEN"])
@pytest.mark.parametrize("mechanism", ["IDLE", "AUTH=PLAIN"])
def test_a_server_that_repeats_what_it_was_given_gives_no_password_away(app: App, mechanism: str, words: str) -> None:
    told: list[str] = []
    able = f"CAPABILITY IMAP4rev1 {mechanism}"
    answers = whole(**dict.fromkeys(("LOGIN", "AUTHENTICATE"), f"TAG {words} …"), CAPABILITY=f"* {able}")
    with speaking(f"* OK [{able}] ready", answers) as port, subscribed(lambda _, facts: told.append(str(facts))):
        _, problem = scanned(app, port)
    assert problem == "it refuses user and password" + (": [EXPIRED]" if "EXPIRED" in words else "")
    with app.store.read() as connection:
        assert [one.problem for one in mailboxes.listing(connection).values()] == [problem]
    given = base64.b64encode(f"\0u\0{SECRET}".encode()).decode()
    assert told
    assert not [one for one in told if given in one or SECRET in one]


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param(whole(UID_SEARCH="* SEARCH"), id="nothing new"),
        pytest.param(whole(UID_SEARCH=""), id="no word of the search"),
        pytest.param(whole(SIZES="", BODIES="", STILL="* SEARCH"), id="gone meanwhile"),
        pytest.param(whole(BODIES="", STILL="* SEARCH"), id="gone at the last moment"),
        pytest.param(whole(BODIES="TAG NO gone …", STILL="* SEARCH"), id="said to be gone"),
    ],
)
def test_mails_that_are_not_there_are_passed_over(app: App, answers: dict[str, str]) -> None:
    with speaking(GREETING, answers) as port:
        assert scanned(app, port) == (0, None)
    assert stored(app) == 0


@pytest.mark.parametrize("sizes", ["", SIZED.replace("UID 3", "UID 9"), f"{SIZED}\r\n* 2 FETCH (UID 9 FLAGS (\\Seen))"])
def test_only_the_mails_that_were_listed_are_read_whatever_else_it_tells_of(app: App, sizes: str) -> None:
    with speaking(GREETING, whole(SIZES=sizes)) as port:
        assert scanned(app, port) == (1, None)
    with app.store.read() as connection:
        assert [one.last_uid for one in mailboxes.listing(connection).values()] == [3]


def given(*uids: int) -> str:
    """Their bodies, as a server gives them."""
    mails = {uid: bounce(f"user-{uid}@example.net").decode() for uid in uids}
    return "\r\n".join(f"* {uid} FETCH (UID {uid} BODY[]<0> {{{len(mail)}}}\r\n{mail})" for uid, mail in mails.items())


THREE = {"UID_SEARCH": "* SEARCH 3 4 5", "STILL": "* SEARCH 3 4 5"}


@pytest.mark.parametrize(
    "bodies",
    [
        pytest.param("TAG NO [UNAVAILABLE] storage is away for a moment …", id="unavailable"),
        pytest.param("TAG NO [INUSE] locked …", id="in use"),
        pytest.param("TAG NO [SERVERBUG] oops …", id="a bug"),
        pytest.param("TAG NO out of luck …", id="all refused"),
        pytest.param("", id="all left out"),
        pytest.param("* 1 FETCH (UID 3 BODY[]<0> NIL)\r\n* 2 FETCH (UID 4 BODY[]<0> NIL)", id="nil"),
    ],
)
def test_a_server_that_gives_none_of_its_mails_is_asked_again_and_none_is_lost(app: App, bodies: str) -> None:
    answers = whole(**THREE, BODIES=bodies)
    with speaking(GREETING, answers) as port:
        read, problem = scanned(app, port)
        assert (read, stored(app)) == (0, 0)
        assert problem
        answers["BODIES"] = given(3, 4, 5)
        assert scanned(app, port) == (3, None)
    assert stored(app) == 3


@pytest.mark.parametrize("missing", ["", "* 2 FETCH (UID 4 BODY[]<0> NIL)"])
def test_a_mail_that_is_not_given_is_told_of_once_and_keeps_no_other_back(app: App, missing: str) -> None:
    answers = whole(**THREE, BODIES="\r\n".join(filter(None, (given(3, 5), missing))))
    with speaking(GREETING, answers) as port:
        assert scanned(app, port) == (2, None)
        assert scanned(app, port) == (0, None)
    with app.store.read() as connection:
        (left,) = incoming.listing(connection, [IncomingState.REJECTED], limit=10)
    assert (left.reason, left.place) == ("not_given", "7:4")


def test_a_mail_that_is_left_out_once_is_asked_for_once_more(app: App) -> None:
    with speaking(GREETING, whole(**THREE, BODIES=given(3, 5), BODY=given(4))) as port:
        assert scanned(app, port) == (3, None)
    assert stored(app) == 3
