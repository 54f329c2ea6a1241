"""What an import may not do: bring anyone back, undo what was set by hand, take an address, change anything twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from notify.app import App
from notify.audience.roster import importing
from notify.audience.roster.account import Altered, Imported
from notify.audience.roster.importing import import_roster
from notify.model import Author, Channel, Recipient, Source, Suppression
from notify.store import recipient_overrides, recipients, suppressions, tables
from notify.store.recipients import Change
from notify.store.tenants import DEFAULT_ID

BY = Author("ada", Source.CLI)


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    """Where the test writes its roster."""
    return tmp_path / "roster.csv"


@pytest.fixture
def slices_of_two(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Rows go in by twos: what stands far apart in a file is in different slices."""
    monkeypatch.setattr(importing, "AT_ONCE", 2)
    return iter(())


def imported(app: App, path: Path, text: str, **options: Any) -> Imported:
    path.write_text(text)
    return import_roster(app, path, actor="ada", **options)


def changed(app: App, *changes: Change) -> None:
    with app.store.begin() as connection:
        recipients.apply(connection, DEFAULT_ID, changes, app.clock.now(), by=BY)


def by_hand(app: App, key: str, *fields: str) -> None:
    with app.store.begin() as connection:
        recipient_overrides.keep(connection, recipients.ids_by_key(connection, DEFAULT_ID, [key])[key], fields)


def stored(app: App, *keys: str) -> dict[str, Recipient]:
    with app.store.read() as connection:
        return recipients.by_keys(connection, DEFAULT_ID, keys)


def emails(app: App, *keys: str) -> list[str]:
    found = stored(app, *keys)
    return [found[key].addresses[Channel.EMAIL].value if key in found else "" for key in keys]


def history(app: App) -> list[Any]:
    table = tables.recipient_changes
    with app.store.read() as connection:
        return list(connection.execute(sa.select(table.c.actor, table.c.source, table.c.changes).order_by(table.c.id)))


# nobody comes back


def test_an_import_never_brings_anyone_back(app: App, roster: Path) -> None:
    imported(app, roster, "key,email,status\nu1,a@example.org,inactive\nu2,b@example.org,unsubscribed\nu3,,active\n")
    changed(app, Change("u3", active=False))
    again = imported(app, roster, "key,email,status\nu1,a@example.org,active\nu2,b@example.org,active\nu3,,active\n")
    assert (again.updated, again.unchanged, again.suppressed) == (0, 3, 0)
    assert [one.active for one in stored(app, "u1", "u2", "u3").values()] == [False, True, False]
    with app.store.read() as connection:
        found = suppressions.of_addresses(connection, DEFAULT_ID, Channel.EMAIL, ["b@example.org"], ())
    [kept] = found["b@example.org"]
    assert kept == Suppression(Channel.EMAIL, "b@example.org", "unsubscribed", "roster")


def test_a_roster_that_says_inactive_deactivates_once(app: App, roster: Path) -> None:
    imported(app, roster, "key\nu1\n")
    assert imported(app, roster, "key,status\nu1,inactive\n").updated == 1
    assert imported(app, roster, "key,status\nu1,inactive\n").unchanged == 1
    assert [tuple(row) for row in history(app)] == [("ada", "import", {"status": ["active", "inactive"]})]


# by hand


def test_what_was_set_by_hand_is_never_undone_by_an_import(app: App, roster: Path) -> None:
    text = "key,email,name,locale,timezone,tags,status,floor\nu1,a@example.org,Ada,en,Asia/Tokyo,x,active,1\n"
    imported(app, roster, text)
    hand = Change("u1", "nl", "Europe/Paris", {"name": "A.", "floor": 2}, ("y",), {Channel.EMAIL: "b@example.org"})
    changed(app, hand)
    fields = ("locale", "timezone", "attributes.name", "attributes.floor", "tags", "email", "status")
    by_hand(app, "u1", *fields)
    before = stored(app, "u1")
    assert imported(app, roster, text.replace("active", "inactive")).unchanged == 1
    assert stored(app, "u1") == before
    by_hand(app, "u1", *(field for field in fields if field != "locale"))
    assert imported(app, roster, text).updated == 1
    assert stored(app, "u1")["u1"].locale == "en"
    assert stored(app, "u1")["u1"].attributes == {"name": "A.", "floor": 2}


def test_an_address_that_was_set_by_hand_leaves_that_of_the_roster_to_another(app: App, roster: Path) -> None:
    changed(app, Change("u1", addresses={Channel.EMAIL: "mine@example.org"}))
    by_hand(app, "u1", "email")
    result = imported(app, roster, "key,email\nu1,a@example.org\nu2,a@example.org\n")
    assert (result.inserted, result.unchanged, result.refused) == (1, 1, [])
    assert emails(app, "u1", "u2") == ["mine@example.org", "a@example.org"]


# what an import changes


def test_a_number_stays_a_number(app: App, roster: Path) -> None:
    changed(app, Change("u1", attributes={"floor": 3, "vip": True, "scores": [1, 2], "note": " padded "}))
    same = 'key,floor,vip,scores,note\nu1,3,true,"[1, 2]",padded\n'
    assert imported(app, roster, same).unchanged == 1
    assert imported(app, roster, same.replace(",3,", ",4,")).updated == 1
    assert stored(app, "u1")["u1"].attributes == {"floor": 4, "vip": True, "scores": [1, 2], "note": " padded "}


def test_a_dry_run_shows_what_was_and_what_would_be(app: App, roster: Path) -> None:
    imported(app, roster, "key,email,name,tags\nu1,a@example.org,Ada,x\nu2,b@example.org,Bob,\n")
    told: list[Altered] = []
    text = "key,email,name,tags\nu2,b@example.org,Bob,\nu1,c@example.org,Ada L,x;y\nu3,d@example.org,Kim,\n"
    rehearsed = imported(app, roster, text, dry_run=True, tell=told.append)
    assert told == [
        Altered(
            3,
            "u1",
            False,
            {
                "tags": (["x"], ["x", "y"]),
                "attributes.name": ("Ada", "Ada L"),
                "email": ("a@example.org", "c@example.org"),
            },
        ),
        Altered(4, "u3", True, {"email": (None, "d@example.org"), "attributes.name": (None, "Kim")}),
    ]
    assert emails(app, "u1", "u3") == ["a@example.org", ""]
    assert imported(app, roster, text) == rehearsed
    assert imported(app, roster, text).unchanged == 3


def test_every_change_leaves_a_row_of_history_and_a_new_recipient_leaves_none(app: App, roster: Path) -> None:
    imported(app, roster, "key,email\nu1,a@example.org\n")
    assert history(app) == []
    imported(app, roster, "key,email\nu1,b@example.org\n")
    imported(app, roster, "key,email\nu1,b@example.org\n")
    assert [tuple(row) for row in history(app)] == [("ada", "import", {"email": ["a@example.org", "b@example.org"]})]


# addresses belong to one recipient


def test_an_address_of_another_recipient_refuses_its_row_and_names_who_has_it(app: App, roster: Path) -> None:
    changed(app, Change("kim", addresses={Channel.EMAIL: "Taken@example.org"}))
    text = "key,email\nu1,a@example.org\nu2,taken@Example.org\nu3,A@example.org\nu4,d@example.org\n"
    result = imported(app, roster, text)
    assert {row.line: row.reason for row in result.refused} == {
        3: "taken@example.org is the email address of recipient 'kim' already",
        4: "A@example.org is the email address of recipient 'u1' already, line 2",
    }
    assert (result.inserted, result.rows) == (2, 4)
    assert sorted(stored(app, "u1", "u2", "u3", "u4")) == ["u1", "u4"]


@pytest.mark.usefixtures("slices_of_two")
def test_addresses_change_hands_wherever_their_rows_stand(app: App, roster: Path) -> None:
    imported(app, roster, "key,email\n" + "".join(f"u{number},a{number}@example.org\n" for number in range(6)))
    moved = "".join(f"u{number},a{(number + 1) % 5}@example.org\n" for number in range(4, -1, -1))
    swapped = imported(app, roster, f"key,email\nnew,a5@example.org\nx,\ny,\n{moved}u5,\n")
    assert [row.line for row in swapped.refused] == [2], "a5 stays with u5"
    chain = "key,email\nnew,a5@example.org\nx,\ny,\nu5,z@example.org\n"
    freed = imported(app, roster, chain)
    assert (freed.refused, freed.inserted, freed.updated) == ([], 1, 1)
    assert emails(app, "new", "u5") == ["a5@example.org", "z@example.org"]


@pytest.mark.usefixtures("slices_of_two")
def test_the_same_file_again_changes_nothing_even_in_slices(app: App, roster: Path) -> None:
    text = "key,email\n" + "".join(f"u{number},a{number % 9}@example.org\n" for number in range(11)) + "u3,\n"
    first = imported(app, roster, text)
    again = imported(app, roster, text)
    assert (first.inserted, first.refused_rows, first.duplicate_rows) == (9, 2, 1)
    assert (again.inserted, again.updated, again.unchanged) == (0, 0, 9)
    assert sorted(again.refused, key=lambda row: row.line) == sorted(first.refused, key=lambda row: row.line)


def test_recipients_that_another_caller_makes_meanwhile_are_changed_instead(app: App, roster: Path) -> None:
    """Many sends describe the very people that a roster brings: nobody is doubled, and nothing fails."""
    roster.write_text("key,email\n" + "".join(f"u{number},a{number}@example.org\n" for number in range(3000)))
    begun, over = threading.Event(), threading.Event()

    def send() -> None:
        number = 0
        while not over.is_set():
            key = f"u{number * 7 % 3000}"
            changed(app, Change(key, locale="nl", addresses={Channel.EMAIL: f"a{key[1:]}@example.org"}))
            begun.set()
            number += 1

    sender = threading.Thread(target=send)
    sender.start()
    try:
        assert begun.wait(60)
        result = import_roster(app, roster, actor="ada")
    finally:
        over.set()
        sender.join()
    assert result.inserted + result.updated + result.unchanged == 3000
    assert result.refused == []
    assert result.inserted < 3000


@pytest.mark.usefixtures("slices_of_two")
def test_nobody_waits_for_an_import_longer_than_for_a_slice(app: App, roster: Path) -> None:
    """What is in already is changed by others while the import goes on."""
    imported(app, roster, "key,locale\na,nl\nb,nl\nc,nl\n")

    def correct(altered: Altered) -> None:
        if altered.key == "a":
            changed(app, Change("a", locale="cs"))

    result = imported(app, roster, "key,locale\na,fr\nb,fr\nc,fr\n", tell=correct)
    assert result.updated == 3
    assert {key: one.locale for key, one in stored(app, "a", "b", "c").items()} == {"a": "cs", "b": "fr", "c": "fr"}


def test_a_slice_that_is_given_up_to_break_a_deadlock_is_written_again(app: App, roster: Path) -> None:
    if app.store.engine.dialect.name == "sqlite":
        pytest.skip("one writer at a time: no two wait for each other")
    imported(app, roster, "key,locale\na,nl\nz,nl\n")
    column = tables.recipients.c
    waits = sa.text("SELECT count(*) FROM pg_locks WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))")
    result: list[Imported] = []
    work = threading.Thread(
        target=lambda: result.append(imported(app, roster, "key,locale,name\na,fr,A\nz,fr,Z\n")), daemon=True
    )
    with app.store.begin() as other:
        other.execute(sa.text("SET LOCAL deadlock_timeout = '60s'"))  # who looks first is given up: the import
        other.execute(sa.select(column.id).where(column.key == "z").with_for_update())
        work.start()
        pause = threading.Event()
        while not other.execute(waits).scalar():  # it has locked a, and waits for us at z
            pause.wait(0.01)
        other.execute(sa.update(tables.recipients).where(column.key == "a").values(timezone="UTC"))
    work.join(60)
    assert [(one.updated, one.refused_rows) for one in result] == [(2, 0)]
    found = stored(app, "a", "z")
    assert {key: (one.locale, one.timezone) for key, one in found.items()} == {"a": ("fr", "UTC"), "z": ("fr", None)}
