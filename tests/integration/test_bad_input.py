"""What cannot be honoured is a RequestError that says so: never a traceback, never a dead message later."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import notify
from notify.app import App
from notify.dev.mailbox import Mailbox
from notify.errors import (
    IdempotencyConflict,
    InvalidAttachment,
    InvalidData,
    InvalidRecipient,
    NotFound,
    RequestError,
    UnknownKind,
)
from notify.model import Attachment
from notify.store import recipients, tables, tenants
from tests.drain import drain
from tests.kinds import make_kind
from tests.mails import all_in
from tests.unit.cli.running import install, notify_cli

ADA = {"key": "ada", "email": "ada@example.org"}
NUL, HALF = "a\x00b", "a\ud800b"
CYCLE: list[Any] = []
CYCLE.append(CYCLE)


class Nowhere(tzinfo):
    """A time zone that knows no offset."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        return None

    tzname = dst = utcoffset  # type: ignore[assignment]


def with_content(content: Any) -> Attachment:
    """An attachment whose content is not what its constructor asks for."""
    file = Attachment("a.txt", b"")
    object.__setattr__(file, "content", content)
    return file


@pytest.fixture(autouse=True)
def _kinds(templates: Path) -> None:
    make_kind(
        templates,
        data='word = { type = "string", default = "hello" }\nrows = { type = "integer", default = 1 }\n'
        'share = { type = "number", default = 1 }\nfree = { type = "object", default = {} }',
    )


def stored(app: App) -> int:
    counted = (tables.notifications, tables.recipients, tables.messages)
    with app.store.read() as connection:
        return sum(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in counted)


CALLS: list[tuple[dict[str, Any], type[RequestError], str]] = [
    ({"kind": None}, UnknownKind, "name of a folder of templates"),
    ({"kind": []}, UnknownKind, "not list"),
    ({"kind": NUL}, UnknownKind, "there is no kind"),
    ({"mode": None}, InvalidData, "unknown mode None. It is one of live, test, dry_run"),
    ({"mode": 5}, InvalidData, "unknown mode 5"),
    ({"mode": []}, InvalidData, "unknown mode"),
    ({"tenant": 5}, InvalidRecipient, "a tenant's key must be text, not int"),
    ({"tenant": NUL}, InvalidRecipient, "a tenant's key must be one line"),
    ({"tenant": HALF}, InvalidRecipient, "a tenant's key must be one line"),
    ({"tenant": ""}, InvalidRecipient, "1 to 255 characters"),
    ({"data": ["x"]}, InvalidData, "data must be an object, not list"),
    ({"data": "x"}, InvalidData, "data must be an object, not str"),
    ({"data": 0}, InvalidData, "data must be an object, not int"),
    ({"data": {5: 1}}, InvalidData, "5 is not declared"),
    ({"data": {"rows": 10**400}}, InvalidData, "rows must be an integer of at most 64 bits"),
    ({"data": {"rows": -(2**63) - 1}}, InvalidData, "64 bits"),
    ({"data": {"share": 10**400}}, InvalidData, "share must be an integer of at most 64 bits"),
    ({"data": {"free": {"deep": [10**400]}}}, InvalidData, "64 bits"),
    ({"data": {"free": {5: 1, "a": 2}}}, InvalidData, "by the name 5, which must be a string"),
    ({"data": {"free": {"a": NUL}}}, InvalidData, "NUL"),
    ({"data": {"free": {"a": HALF}}}, InvalidData, "surrogate"),
    ({"data": {"free": {"a": CYCLE}}}, InvalidData, "nested deeper"),
    ({"key": NUL}, InvalidData, "key must be one line"),
    ({"key": HALF}, InvalidData, "key must be one line"),
    ({"key": 5}, InvalidData, "key must be text, not int"),
    ({"key": "x" * 256}, InvalidData, "1 to 255 characters"),
    ({"at": "tomorrow"}, InvalidData, "a datetime with a time zone"),
    ({"at": datetime(2027, 1, 1, tzinfo=Nowhere())}, InvalidData, "a datetime with a time zone"),
    ({"at": datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))}, InvalidData, "years 1 to 9999"),
    ({"at": datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))}, InvalidData, "years 1 to 9999"),
    ({"channels": "email"}, InvalidData, "channels is a list"),
    ({"channels": 5}, InvalidData, "channels is a list"),
    ({"channels": [None]}, InvalidData, "not made for channel None"),
    ({"attachments": Attachment("a.txt", b"")}, InvalidAttachment, "attachments is a list"),
    ({"attachments": None}, InvalidAttachment, "attachments is a list"),
    ({"attachments": ["a.txt"]}, InvalidAttachment, "not str"),
    ({"attachments": [with_content("text")]}, InvalidAttachment, "content must be bytes, not str; encode"),
    ({"attachments": [Attachment(None, b"")]}, InvalidAttachment, "name must be text"),  # type: ignore[arg-type]
    ({"attachments": [Attachment(HALF, b"")]}, InvalidAttachment, "name must be one line"),
    ({"attachments": [Attachment(" ", b"")]}, InvalidAttachment, "blank"),
    ({"attachments": [Attachment("a", b"", None)]}, InvalidAttachment, "None is no content type"),  # type: ignore[arg-type]
    ({"attachments": [Attachment("a", b"", "text/csv; a")]}, InvalidAttachment, "is no content type"),
    ({"attachments": [Attachment("a", b"", "text/csv\n")]}, InvalidAttachment, "is no content type"),
    ({"attachments": [Attachment("a", b"", inline="x" * 201)]}, InvalidAttachment, "content id"),
    ({"attachments": [Attachment("a", b"", inline=5)]}, InvalidAttachment, "content id"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("call", "error", "says"), CALLS)
def test_a_wrong_argument_of_send_is_refused_and_stores_nothing(
    app: App, call: dict[str, Any], error: type[RequestError], says: str
) -> None:
    with pytest.raises(error) as refused:
        notify.send(**{"kind": "hello", "to": ADA, **call})
    assert says in str(refused.value)
    with pytest.raises(error):
        notify.send_many(**{"kind": "hello", "to": [ADA], **call})
    assert stored(app) == 0


PEOPLE: list[tuple[Any, str]] = [
    (None, "not NoneType"),
    (HALF, "a recipient's key must be one line"),
    (NUL, "a recipient's key must be one line"),
    ({**ADA, "key": HALF}, "a recipient's key must be one line"),
    ({**ADA, "key": "x" * 256}, "1 to 255 characters"),
    ({**ADA, "key": 5}, "a recipient needs a key"),
    ({**ADA, 5: "x"}, "unknown field 5"),
    ({**ADA, "tags": 7}, "tags is a list, such as ['vip'], not int"),
    ({**ADA, "tags": "vip"}, "tags is a list, such as ['vip'], not str"),
    ({**ADA, "tags": [7]}, "a tag must be text, not int"),
    ({**ADA, "tags": [NUL]}, "a tag must be one line"),
    ({**ADA, "tags": ["vip", HALF]}, "a tag must be one line"),
    ({**ADA, "name": HALF}, "name must be one line"),
    ({**ADA, "name": 5}, "name must be text, not int"),
    ({**ADA, "attributes": {"name": "a\nb"}}, "name must be one line"),
    ({**ADA, "email": 5}, "must be text"),
    ({**ADA, "email": f"{HALF}@example.org"}, "is not an e-mail address"),
    ({**ADA, "locale": HALF}, "unknown locale"),
    ({**ADA, "locale": f"nl@{HALF}"}, "unknown locale"),
    ({**ADA, "locale": 5}, "unknown locale '5'"),
    ({**ADA, "locale": "nl-BB"}, "unknown locale 'nl-BB'; did you mean 'nl-B"),
    ({**ADA, "timezone": HALF}, "unknown time zone"),
    ({**ADA, "timezone": NUL}, "unknown time zone"),
    ({**ADA, "timezone": 5}, "unknown time zone '5'"),
    ({**ADA, "timezone": "localtime"}, "unknown time zone 'localtime'"),
    ({**ADA, "timezone": "posix/Europe/Paris"}, "did you mean 'Europe/Paris'?"),
    ({**ADA, "timezone": "Europe"}, "unknown time zone"),
    ({**ADA, "attributes": ["x"]}, "attributes must be a mapping, not list"),
    ({**ADA, "attributes": {5: 1, "a": 2}}, "an attribute's name must be text, not int"),
    ({**ADA, "attributes": {"a": {5: 1}}}, "attribute 'a' holds a value by the name 5"),
    ({**ADA, "attributes": {"a": HALF}}, "attribute 'a' holds NUL or half a surrogate pair"),
    ({**ADA, "attributes": {"a": [NUL]}}, "attribute 'a' holds NUL"),
    ({**ADA, "attributes": {NUL: 1}}, "an attribute's name must be one line"),
    ({**ADA, "attributes": {"a": float("nan")}}, "attribute 'a' must be a finite number"),
    ({**ADA, "attributes": {"a": 10**400}}, "attribute 'a' must be an integer of at most 64 bits"),
    ({**ADA, "attributes": {"a": CYCLE}}, "attribute 'a' is nested deeper"),
    ({**ADA, "attributes": {"a": {1, 2}}}, "attribute 'a' must be a JSON value, not set"),
    ({**ADA, "data": ["x"]}, "data must be a mapping, not list"),
]


@pytest.mark.parametrize(("person", "says"), PEOPLE)
def test_a_wrong_description_of_a_recipient_is_refused_and_stores_nothing(app: App, person: Any, says: str) -> None:
    with pytest.raises(RequestError) as refused:
        notify.send("hello", person)
    assert says in str(refused.value)
    with pytest.raises(type(refused.value)):
        notify.send_many("hello", [ADA, person])
    assert stored(app) == 0


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: notify.preview(None), "name of a folder"),  # type: ignore[arg-type]
        (lambda: notify.preview("hello", locale=5), "unknown locale '5'"),  # type: ignore[arg-type]
        (lambda: notify.preview("hello", locale="xx"), "unknown locale 'xx'"),
        (lambda: notify.preview("hello", locale="fr_FRR"), "did you mean 'fr-FR'?"),
        (lambda: notify.preview("hello", locale=""), "unknown locale ''"),
        (lambda: notify.preview("hello", to=HALF), "one line"),
        (lambda: notify.preview("hello", to="ada", tenant=NUL), "one line"),
        (lambda: notify.preview("hello", to="ada", tenant=5), "must be text"),  # type: ignore[arg-type]
        (lambda: notify.preview("hello", data=["x"]), "data must be an object"),  # type: ignore[arg-type]
        (lambda: notify.preview("hello", data={"word": HALF}), "surrogate"),
        (lambda: notify.explain(5), "5 is no message id"),  # type: ignore[call-overload]
        (lambda: notify.explain(None), "None is no message id"),  # type: ignore[call-overload]
        (lambda: notify.explain(HALF), "is no message id"),
        (lambda: notify.cancel(5), "must be text, not int"),  # type: ignore[arg-type]
        (lambda: notify.cancel(NUL), "one line"),
        (lambda: notify.cancel(HALF), "one line"),
        (lambda: notify.cancel("key", tenant=NUL), "one line"),
        (lambda: notify.cancel("key", tenant=5), "must be text"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_argument_of_preview_explain_and_cancel_is_refused(
    app: App, call: Callable[[], object], says: str
) -> None:
    with pytest.raises(RequestError) as refused:
        call()
    assert says in str(refused.value)


def test_what_is_not_there_is_not_found(app: App) -> None:
    with pytest.raises(NotFound):
        notify.explain(5)  # type: ignore[call-overload]
    with pytest.raises(NotFound):
        notify.cancel(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("literal", ["a\\u0000b", "a\\ud800b", "\\x00"])
def test_a_backslash_and_what_follows_it_are_just_text(app: App, mailbox: Mailbox, literal: str) -> None:
    notify.send("hello", {**ADA, "name": literal, "attributes": {"note": literal}}, {"word": literal})
    drain(app)
    [mail] = all_in(mailbox.folder)
    assert mail["subject"] == literal
    with app.store.read() as connection:
        ada = recipients.by_keys(connection, tenants.DEFAULT_ID, ["ada"])["ada"]
    assert ada.attributes == {"name": literal, "note": literal}


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 0])
def test_the_largest_integers_are_delivered(app: App, mailbox: Mailbox, number: int) -> None:
    notify.send("hello", {**ADA, "attributes": {"n": number}}, {"rows": number, "share": number, "free": {"n": number}})
    drain(app)
    assert mailbox.count == 1


def test_tags_are_kept_as_they_were_given(app: App) -> None:
    notify.send("hello", {**ADA, "tags": ("vip", "pilot 2")})
    with app.store.read() as connection:
        assert recipients.by_keys(connection, tenants.DEFAULT_ID, ["ada"])["ada"].tags == ("vip", "pilot 2")


@pytest.mark.parametrize("moment", [datetime.min, datetime.max])
def test_the_first_and_the_last_moment_there_are_can_be_asked_for(app: App, mailbox: Mailbox, moment: datetime) -> None:
    sent = notify.send("hello", ADA, at=moment.replace(tzinfo=UTC), key="k")
    drain(app)
    assert mailbox.count == (1 if moment == datetime.min else 0)
    assert notify.send("hello", ADA, at=moment.replace(tzinfo=UTC), key="k").id == sent.id
    assert notify.cancel("k") == (0 if moment == datetime.min else 1)


def test_channels_may_be_any_iterable(app: App) -> None:
    assert notify.send("hello", ADA, channels=(name for name in ["email"])).messages == {"queued": 1}  # type: ignore[arg-type]


def test_the_same_people_in_another_order_are_the_same_request(app: App, mailbox: Mailbox) -> None:
    people = [{"key": f"u{n}", "email": f"u{n}@example.org", "data": {"word": f"{n}"}} for n in range(3)]
    first = notify.send_many("hello", people, key="k")
    again = notify.send_many("hello", reversed(people), key="k")
    assert (again.id, again.repeated) == (first.id, True)
    with pytest.raises(IdempotencyConflict):
        notify.send_many("hello", people[:2], key="k")
    swapped = [{**people[0], "data": people[1]["data"]}, {**people[1], "data": people[0]["data"]}, people[2]]
    with pytest.raises(IdempotencyConflict):
        notify.send_many("hello", swapped, key="k")
    drain(app)
    assert mailbox.count == 3


def test_a_content_type_may_have_parameters(app: App, mailbox: Mailbox) -> None:
    notify.send("hello", ADA, attachments=[Attachment("a.csv", "ä;b\n".encode(), "text/csv; charset=utf-8")])
    drain(app)
    [mail] = all_in(mailbox.folder)
    [file] = mail.iter_attachments()
    assert (file.get_content_type(), file.get_param("charset")) == ("text/csv", "utf-8")


def test_a_locale_without_words_falls_back_and_says_so(app: App) -> None:
    assert notify.preview("hello", locale="fr_CA").locale == "en"


# the command line


@pytest.fixture
def _installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, app: App) -> None:
    settings = app.settings
    install(
        monkeypatch,
        tmp_path,
        database_url=settings.database,
        redis_url=settings.redis,
        templates_dir=settings.templates_dir,
    )


@pytest.mark.usefixtures("_installation")
@pytest.mark.parametrize("bad", [NUL, HALF], ids=["NUL", "half a pair"])
@pytest.mark.parametrize(
    "command",
    [
        ["messages", "list", "--kind"],
        ["messages", "list", "--recipient"],
        ["messages", "list", "--tenant"],
        ["cancel"],
        ["cancel", "key", "--tenant"],
        ["send", "hello", "--to", "ada", "--key"],
        ["send", "hello", "--to", "ada", "--tenant"],
        ["tenants", "add"],
    ],
    ids=" ".join,
)
def test_text_that_no_database_stores_is_a_matter_of_usage(command: list[str], bad: str) -> None:
    ran = notify_cli(*command, bad)
    assert (ran.code, ran.out) == (3, "")
    assert "one line of text" in ran.err
    assert "defect" not in ran.err


@pytest.mark.usefixtures("_installation")
@pytest.mark.parametrize("command", [["send", "hello", "--to"], ["explain"], ["messages", "show"], ["kinds", "show"]])
def test_a_name_that_cannot_be_one_is_refused(command: list[str]) -> None:
    ran = notify_cli(*command, HALF)
    assert (ran.code, ran.out) == (1, "")
    assert "defect" not in ran.err
