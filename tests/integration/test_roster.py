"""Rosters: what is good goes in once, what is not is named by its line, and a broken file changes nothing."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from notify.app import App
from notify.audience.roster.account import Imported, Refused
from notify.audience.roster.importing import import_roster
from notify.errors import InvalidRecipient, OperatorError
from notify.model import Channel, Recipient, Suppression
from notify.store import recipients, suppressions, tables, tenants
from notify.store.tenants import DEFAULT_ID
from notify.telemetry import subscribed

EXAMPLES = Path(__file__).parents[2] / "examples"
HEADER = "key,email,name,locale,timezone,status,tags\n"


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    """Where the test writes its roster."""
    return tmp_path / "roster.csv"


def imported(app: App, path: Path, text: str | bytes | None = None, **options: Any) -> Imported:
    if text is not None:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return import_roster(app, path, actor="ada", **options)


def counts(result: Imported) -> tuple[int, int, int]:
    return result.inserted, result.updated, result.unchanged


def stored(app: App, *keys: str) -> dict[str, Recipient]:
    with app.store.read() as connection:
        return recipients.by_keys(connection, DEFAULT_ID, keys)


def suppressed(app: App, *addresses: str) -> dict[str, list[Suppression]]:
    with app.store.read() as connection:
        return suppressions.of_addresses(connection, DEFAULT_ID, Channel.EMAIL, addresses, ())


def rows_in(app: App, table: sa.Table) -> int:
    with app.store.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


@contextmanager
def statements(app: App) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    sa.event.listen(app.store.engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(app.store.engine, "before_cursor_execute", note)


# the roster that ships


def told() -> dict[str, tuple[int, set[int]]]:
    """What examples/README.md tells of each sort of row: how many, on which lines."""
    found = re.findall(
        r"^\| ([a-z][^|]*?) +\| +(\d+) +\| ([\d, ]+) \|", (EXAMPLES / "README.md").read_text(), re.MULTILINE
    )
    return {sort: (int(count), {int(line) for line in lines.split(",")}) for sort, count, lines in found}


def test_the_shipped_roster_imports_with_the_counts_of_its_readme(app: App) -> None:
    sorts = told()
    refused = ("broken e-mail address", "unknown time zone", "unknown locale", "too few columns", "empty key")
    twice = ("repeated exactly", "key of an earlier row, changed data")
    withheld = ("status `unsubscribed`", "status `bounced`")

    result = import_roster(app, EXAMPLES / "roster.csv", actor="ada")

    assert {row.line for row in result.refused} == set().union(*(sorts[sort][1] for sort in refused))
    assert {row.line for row in result.duplicates} == set().union(*(sorts[sort][1] for sort in twice))
    assert result.suppressed == sum(sorts[sort][0] for sort in withheld)
    good = 540 - len(result.refused) - len(result.duplicates)
    assert counts(result) == (good, 0, 0)
    assert rows_in(app, tables.recipients) == good
    assert rows_in(app, tables.addresses) == good - sorts["no e-mail address"][0]


def test_importing_the_shipped_roster_again_changes_nothing(app: App) -> None:
    first = import_roster(app, EXAMPLES / "roster.csv", actor="ada")
    again = import_roster(app, EXAMPLES / "roster.csv", actor="ada")
    assert counts(again) == (0, 0, first.inserted)
    assert again.suppressed == 0
    assert (again.refused, again.duplicates) == (first.refused, first.duplicates)


# what a row says


def test_a_row_becomes_a_recipient(app: App, roster: Path) -> None:
    imported(
        app,
        roster,
        "key,email,name,locale,timezone,status,tags,company,floor\n"
        'u1,Ada@Example.ORG,"Lovelace, Ada ""A.""",nl_BE,Europe/Brussels,active,vip; pilot,Ω Lab,3\n',
    )
    ada = stored(app, "u1")["u1"]
    assert ada.addresses[Channel.EMAIL].value == "Ada@example.org"
    assert (ada.locale, ada.timezone, ada.tags) == ("nl-BE", "Europe/Brussels", ("vip", "pilot"))
    assert ada.attributes == {"name": 'Lovelace, Ada "A."', "company": "Ω Lab", "floor": "3"}


def test_an_empty_cell_says_nothing_and_changes_nothing(app: App, roster: Path) -> None:
    imported(app, roster, HEADER + "u1,ada@example.org,Ada,nl,Europe/Amsterdam,active,vip\n")
    assert counts(imported(app, roster, HEADER + "u1,,,,,,\n")) == (0, 0, 1)
    assert stored(app, "u1")["u1"].locale == "nl"


def test_an_empty_tag_is_no_tag(app: App, roster: Path) -> None:
    imported(app, roster, HEADER + "u1,,,,,,vip;;pilot;\n")
    assert stored(app, "u1")["u1"].tags == ("vip", "pilot")


def test_blank_lines_and_rows_of_commas_alone_are_passed_over(app: App, roster: Path) -> None:
    result = imported(app, roster, "key,email\n\nu1,\n,\n  , \n\nu2,\n")
    assert counts(result) == (2, 0, 0)
    assert result.refused == []


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_in_any_systems_way(app: App, roster: Path, end: str) -> None:
    result = imported(app, roster, end.join(["key,email", "u1,ada@example.org", "u2,nonsense", "u3,"]))
    assert counts(result) == (2, 0, 0)
    assert [row.line for row in result.refused] == [3]


def test_a_byte_order_mark_is_no_part_of_the_first_column(app: App, roster: Path) -> None:
    assert counts(imported(app, roster, b"\xef\xbb\xbfkey,name\nu1,Ada\n")) == (1, 0, 0)


# what is refused


def test_refused_rows_carry_their_lines_and_reasons_and_the_rest_goes_in(app: App, roster: Path) -> None:
    result = imported(
        app,
        roster,
        HEADER
        + "u1,ada@example.org,,,,,\n"
        + "u2,not an address,,,,,\n"
        + "u3,,,elvish,,,\n"
        + "u4,,,,Mars/Olympus_Mons,,\n"
        + "u5,,,,,unsubscribd,\n"
        + ",,Nobody,,,,\n"
        + "u7,too,few\n"
        + "u8,,,,,,\n",
    )
    assert counts(result) == (2, 0, 0)
    assert [row.line for row in result.refused] == [3, 4, 5, 6, 7, 8]
    reasons = [row.reason for row in result.refused]
    assert "'u2'" in reasons[0]
    assert "unknown locale 'elvish'" in reasons[1]
    assert "unknown time zone 'Mars/Olympus_Mons'" in reasons[2]
    assert "did you mean 'unsubscribed'?" in reasons[3]
    assert "needs a key" in reasons[4]
    assert reasons[5] == "3 cells where the header has 7"


def test_cells_of_several_lines_keep_the_count_of_lines_right(app: App, roster: Path) -> None:
    result = imported(
        app,
        roster,
        'key,email,note\nu1,,"one\ntwo\nthree"\nu2,nonsense,\nu3,nonsense,"four\nfive"\nu4,nonsense,\n',
    )
    assert [row.line for row in result.refused] == [5, 6, 8]
    assert stored(app, "u1")["u1"].attributes == {"note": "one\ntwo\nthree"}


def test_the_first_row_of_a_key_counts(app: App, roster: Path) -> None:
    result = imported(app, roster, "key,name\nu1,First\nu2,Other\nu1,Second\n")
    assert counts(result) == (2, 0, 0)
    assert result.duplicates == [Refused(4, "key 'u1' stands already in line 2")]
    assert stored(app, "u1")["u1"].attributes == {"name": "First"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kez,email\nu1,\n", r"line 1: no column 'key'; did you mean 'kez'\?; found: kez, email"),
        ("", "line 1: no column 'key'"),
        ("key,email,email\nu1,,\n", "line 1: column 'email' is empty or stands twice"),
        ("key,,name\nu1,,\n", "line 1: column '' is empty or stands twice"),
        ('key,name\nu1,Ada\nu2,"never closed\n', "near line 3: not readable as CSV: unexpected end of data"),
        ("key,name\nu1,Zoë\nu2,".encode() + b"Zo\xeb\n", "near line 3: not readable as CSV: octet 0xeb is no UTF-8"),
        (b"key,name\nu1,Zo\x81\n", "near line 2: not readable as CSV: neither UTF-8 nor Windows-1252"),
        ("key,name\nu1,Ada\n".encode("utf-16")[:-1], "not readable as CSV: .*truncated data"),
    ],
    ids=[
        "no key",
        "nothing",
        "a column twice",
        "a column without a name",
        "an open quote",
        "UTF-8 with other octets in it",
        "no encoding at all",
        "UTF-16 that breaks off",
    ],
)
def test_a_file_that_cannot_be_read_is_refused_as_a_whole(app: App, roster: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(OperatorError, match=said) as raised:
        imported(app, roster, text)
    assert str(roster) in str(raised.value)
    assert "Nothing was imported." in str(raised.value)
    assert rows_in(app, tables.recipients) == rows_in(app, tables.audit) == 0


def test_a_file_that_breaks_late_leaves_nothing_of_its_beginning(app: App, roster: Path) -> None:
    good = "".join(f"user-{number},\n" for number in range(12_000))
    with pytest.raises(OperatorError, match="near line 12002: not readable as CSV: unexpected end of data"):
        imported(app, roster, f'key,email\n{good}"user-x')
    assert rows_in(app, tables.recipients) == 0


def test_a_file_that_is_not_there_is_named(app: App, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"cannot read .*nowhere\.csv: No such file"):
        imported(app, tmp_path / "nowhere.csv")
    with pytest.raises(OperatorError, match="Is a directory"):
        imported(app, tmp_path)


def test_a_character_that_no_database_takes_refuses_its_row_alone(app: App, roster: Path) -> None:
    result = imported(app, roster, "key,company\nu1,a\0b\nu2,c\n")
    assert [row.line for row in result.refused] == [2]
    assert counts(result) == (1, 0, 0)


# suppressions


def test_who_unsubscribed_bounced_or_complained_is_suppressed(app: App, roster: Path) -> None:
    rows = "u1,Ada@Example.org,,,,unsubscribed,\nu2,eve@example.net,,,,bounced,\nu3,kim@example.org,,,,complained,\n"
    assert imported(app, roster, HEADER + rows + "u4,ok@example.org,,,,active,\nu5,,,,,bounced,\n").suppressed == 3
    found = suppressed(app, "ada@example.org", "eve@example.net", "kim@example.org", "ok@example.org")
    assert {address: [(one.reason, one.source, one.scope) for one in each] for address, each in found.items()} == {
        "ada@example.org": [("unsubscribed", "roster", "all")],
        "eve@example.net": [("bounced", "roster", "all")],
        "kim@example.org": [("complained", "roster", "all")],
    }


def test_who_unsubscribed_stays_so_when_a_later_roster_calls_them_active(app: App, roster: Path) -> None:
    imported(app, roster, HEADER + "u1,ada@example.org,,,,unsubscribed,\n")
    again = imported(app, roster, HEADER + "u1,ada@example.org,,,,active,\n")
    assert (counts(again), again.suppressed) == ((0, 0, 1), 0)
    [kept] = suppressed(app, "ada@example.org")["ada@example.org"]
    assert kept.reason == "unsubscribed"


# the import as a whole


def test_a_dry_run_reports_everything_and_stores_nothing(app: App, roster: Path) -> None:
    text = HEADER + "u1,ada@example.org,,,,unsubscribed,\nu2,nonsense,,,,,\nu1,,,,,,\n"
    events: list[str] = []
    with subscribed(lambda event, _facts: events.append(event)):
        rehearsed = imported(app, roster, text, dry_run=True)
    assert [rows_in(app, table) for table in (tables.recipients, tables.suppressions, tables.audit)] == [0, 0, 0]
    assert events == []
    assert rehearsed == imported(app, roster)


def test_an_import_leaves_an_audit_row_and_an_event_without_addresses(app: App, roster: Path) -> None:
    heard: list[tuple[str, Any]] = []
    with subscribed(lambda event, facts: heard.append((event, facts))):
        imported(app, roster, HEADER + "u1,ada@example.org,,,,unsubscribed,\nu2,eve@,,,,,\n")
    with app.store.read() as connection:
        row = connection.execute(sa.select(tables.audit)).one()
    summary = {
        "file": "roster.csv",
        "encoding": "utf-8",
        "inserted": 1,
        "updated": 0,
        "unchanged": 0,
        "suppressed": 1,
        "refused": 1,
        "duplicates": 0,
        "tags": [],
    }
    assert (row.actor, row.action, row.subject, row.detail) == ("ada", "recipients.import", "roster.csv", summary)
    assert row.tenant_id == DEFAULT_ID
    [(event, facts)] = heard
    assert event == "recipients.imported"
    assert summary.items() <= facts.items()


def test_a_roster_goes_to_the_tenant_that_was_named(app: App, roster: Path) -> None:
    with app.store.begin() as connection:
        tenants.add(connection, "lab", app.clock.now())
        lab = tenants.tenant_id(connection, "lab")
    imported(app, roster, "key,name\nu1,Ada\n", tenant="lab")
    assert stored(app, "u1") == {}
    with app.store.read() as connection:
        assert list(recipients.by_keys(connection, lab, ["u1"])) == ["u1"]
    with pytest.raises(InvalidRecipient, match="no tenant 'lob'; did you mean 'lab'"):
        imported(app, roster, tenant="lob")


def test_twenty_thousand_rows_are_imported_in_few_statements_and_progress_is_told(app: App, roster: Path) -> None:
    with roster.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["key", "email", "name", "status"])
        writer.writerows(
            [f"user-{number}", f"user-{number}@example.org", "Ž", "bounced" if number % 7 == 0 else "active"]
            for number in range(20_000)
        )
    progress: list[tuple[int, int]] = []
    with statements(app) as seen:
        result = imported(app, roster, progress=lambda done, total: progress.append((done, total)))
    assert counts(result) == (20_000, 0, 0)
    assert len(seen) <= 20 * 8, "eight statements for a thousand rows"
    assert [done for done, _ in progress] == sorted(done for done, _ in progress)
    assert progress[-1] == (roster.stat().st_size, roster.stat().st_size)
    with statements(app) as seen:
        assert counts(imported(app, roster)) == (0, 0, 20_000)
    assert len(seen) <= 20 * 4
