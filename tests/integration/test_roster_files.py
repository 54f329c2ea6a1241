"""How a roster file may be written: any usual encoding, delimiter and header; and what is left out is kept."""

from __future__ import annotations

import csv
import io
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notify.app import App
from notify.audience.roster.account import Imported
from notify.audience.roster.file import DELIMITERS, examine
from notify.audience.roster.importing import Manner, import_roster
from notify.audience.roster.rows import Roster, Row
from notify.errors import InvalidRecipient, OperatorError
from notify.model import Channel, Recipient
from notify.store import recipients
from notify.store.tenants import DEFAULT_ID

PEOPLE = "key,email,name,tags\nu1,zoe@example.org,Zoë Dvořák,a;b\nu2,li@example.org,李,\n"


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    """Where the test writes its roster."""
    return tmp_path / "roster.csv"


def imported(app: App, path: Path, given: str | bytes, manner: Manner | None = None, **options: Any) -> Imported:
    path.write_bytes(given.encode() if isinstance(given, str) else given)
    return import_roster(app, path, actor="ada", manner=manner, **options)


def stored(app: App, *keys: str) -> dict[str, Recipient]:
    with app.store.read() as connection:
        return recipients.by_keys(connection, DEFAULT_ID, keys)


def table(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_the_encoding_is_found_by_its_mark_or_by_being_utf_8(app: App, roster: Path, encoding: str) -> None:
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    result = imported(app, roster, f"{mark}{PEOPLE}".encode(encoding))
    assert (result.inserted, result.word) == (2, "")
    assert [one.attributes["name"] for one in stored(app, "u1", "u2").values()] == ["Zoë Dvořák", "李"]


def test_what_is_no_utf_8_is_windows_1252_and_shows_a_word_to_judge_by(app: App, roster: Path) -> None:
    result = imported(app, roster, "key,name\nu1,Ada\nu2,Zoë – Žofie\n".encode("windows-1252"))
    assert (result.encoding, result.word) == ("windows-1252", "Zoë")
    assert stored(app, "u2")["u2"].attributes["name"] == "Zoë – Žofie"


def test_an_encoding_that_is_named_is_not_looked_for(app: App, roster: Path) -> None:
    result = imported(app, roster, "key,name\nu1,Dvořák\n".encode("windows-1250"), Manner(encoding="windows-1250"))
    assert (result.encoding, result.word) == ("windows-1250", "")
    assert stored(app, "u1")["u1"].attributes["name"] == "Dvořák"


@pytest.mark.parametrize("name", ["utf-9", "hex"])
def test_an_encoding_that_is_none_of_text_is_refused(app: App, roster: Path, name: str) -> None:
    with pytest.raises(OperatorError, match=f"no encoding '{name}' of text\nNext: name one like"):
        imported(app, roster, PEOPLE, Manner(encoding=name))


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_the_delimiter_is_found_in_the_header(app: App, roster: Path, delimiter: str) -> None:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(csv.reader(io.StringIO(PEOPLE)))
    result = imported(app, roster, out.getvalue())
    assert (result.delimiter, result.inserted) == (delimiter, 2)
    assert stored(app, "u1")["u1"].tags == ("a", "b")


def test_a_header_of_one_column_needs_no_delimiter(app: App, roster: Path) -> None:
    assert imported(app, roster, "key\nu1\nu2\n").inserted == 2


def test_of_two_delimiters_the_one_that_makes_a_key_stand_alone_is_meant(app: App, roster: Path) -> None:
    result = imported(app, roster, "key;a,b,c;email\nu1;x;\n")
    assert (result.delimiter, stored(app, "u1")["u1"].attributes) == (";", {"a,b,c": "x"})


def test_columns_that_mail_services_and_surveys_write_are_known(app: App, roster: Path) -> None:
    imported(app, roster, "user_did,RecipientEmail,Full Name,User-Language,TZ\nu1,a@example.org,Ada,nl,Asia/Tokyo\n")
    ada = stored(app, "u1")["u1"]
    assert (ada.addresses[Channel.EMAIL].value, ada.locale, ada.timezone) == ("a@example.org", "nl", "Asia/Tokyo")
    assert ada.attributes == {"name": "Ada"}


def test_a_column_of_the_fields_own_name_goes_before_one_that_only_means_it(app: App, roster: Path) -> None:
    imported(app, roster, "key,EmailAddress,email,RecipientEmail\nu1,x@example.org,a@example.org,y@example.org\n")
    ada = stored(app, "u1")["u1"]
    assert ada.addresses[Channel.EMAIL].value == "a@example.org"
    assert ada.attributes == {"EmailAddress": "x@example.org", "RecipientEmail": "y@example.org"}


def test_columns_are_mapped_left_out_and_may_mean_two_things(app: App, roster: Path) -> None:
    mapping = {"E-post": ["key", "email"], "Firma": ["company"], "Notiz": [""]}
    text = "E-post,Firma,Notiz\na@example.org,Lab,secret\n"
    assert imported(app, roster, text, Manner(mapping=mapping)).inserted == 1
    ada = stored(app, "a@example.org")["a@example.org"]
    assert ada.addresses[Channel.EMAIL].value == "a@example.org"
    assert ada.attributes["company"] == "Lab"
    assert "Notiz" not in ada.attributes


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"Emial": ["email"]}, "no column 'Emial'; did you mean 'Email'"),
        ({"Email": ["key"]}, "two columns mean 'company'"),
        ({"Email": ["address"]}, "a column cannot be called 'address'"),
        ({"Email": ["x" * 300]}, "an attribute's name must have 1 to 255 characters"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused(
    app: App, roster: Path, mapping: dict[str, list[str]], said: str
) -> None:
    more = {"Firma": ["company"], "Company": ["company"]} if "two" in said else {"Id": ["key"]}
    with pytest.raises(OperatorError, match=said):
        imported(app, roster, "Email,Firma,Company,Id\n,,,\n", Manner(mapping={**more, **mapping}))


def test_everyone_of_a_file_may_get_tags(app: App, roster: Path) -> None:
    manner = Manner(tags=["pilot"])
    imported(app, roster, "key,tags\nu1,vip\n")
    result = imported(app, roster, "key,name\nu1,\nu2,\n", manner)
    assert (result.inserted, result.updated) == (1, 1)
    assert {key: one.tags for key, one in stored(app, "u1", "u2").items()} == {"u1": ("vip", "pilot"), "u2": ("pilot",)}
    assert imported(app, roster, "key,name\nu1,\nu2,\n", manner).unchanged == 2
    with pytest.raises(InvalidRecipient, match="a tag must have 1 to 255"):
        imported(app, roster, "key\nu1\n", Manner(tags=[" "]))


def test_phone_numbers_are_read_as_those_of_the_installations_country(app: App, roster: Path) -> None:
    at_home = replace(app, settings=app.settings.model_copy(update={"phone_region": "NL"}))
    text = "key,Mobile\nu1,+31 6 12345678\nu2,06 87654321\nu3,12\n"
    result = imported(at_home, roster, text)
    assert [row.line for row in result.refused] == [4]
    assert [one.addresses[Channel.SMS].value for one in stored(app, "u1", "u2").values()] == [
        "+31612345678",
        "+31687654321",
    ]


def test_a_quote_within_a_cell_refuses_its_line_alone(app: App, roster: Path) -> None:
    result = imported(app, roster, 'key,name\nu1,Ada\nu2,"Bob "Bobby" Smith"\nu3,Kim\n')
    assert (result.inserted, [row.line for row in result.refused]) == (2, [3])
    with pytest.raises(OperatorError, match="near line 3: not readable as CSV"):
        imported(app, roster, 'key,name\nu1,Ada\nu2,"Bob\nu3,"Kim"\nu4,Zo\n')


# what is left out


def test_rows_that_are_left_out_are_kept_and_can_be_mended_and_imported(app: App, roster: Path, tmp_path: Path) -> None:
    kept = tmp_path / "rejected.csv"
    text = 'key,email,note\nu1,a@example.org,"=1+1, ""x"""\nu2,nowhere,"two\nlines"\nu1,b@example.org,\nu3,c@,\n'
    result = imported(app, roster, text, keep_rejects=kept)
    assert (result.rows, result.inserted, result.refused_rows, result.duplicate_rows) == (4, 1, 2, 1)
    header, *rows = table(kept)
    assert header == ["line", "reason", "key", "email", "note"]
    assert [[row[0], *row[2:]] for row in rows] == [
        ["3", "u2", "nowhere", "two\nlines"],
        ["5", "u1", "b@example.org", ""],
        ["6", "u3", "c@", ""],
    ]
    assert all(row[1] for row in rows)
    assert kept.stat().st_mode & 0o077 == 0, "it holds addresses"

    mended = kept.read_text().replace("nowhere", "d@example.org")
    again = imported(app, roster, mended, keep_rejects=kept, force=True)
    assert (again.inserted, again.updated, again.refused_rows) == (1, 1, 1)
    assert stored(app, "u2")["u2"].attributes == {"note": "two\nlines"}
    assert table(kept)[0] == ["line", "reason", "key", "email", "note"]


def test_what_is_left_out_stands_in_the_order_of_the_file(app: App, roster: Path, tmp_path: Path) -> None:
    kept = tmp_path / "rejected.csv"
    text = "key,email\nu1,a@example.org\nu2,a@example.org\nu3,nowhere\nu1,c@example.org\nu4,c@\n"
    result = imported(app, roster, text, keep_rejects=kept)
    assert [one.line for one in result.refused] == [3, 4, 6]
    assert "already, line 2" in result.refused[0].reason
    assert [row[0] for row in table(kept)[1:]] == ["3", "4", "5", "6"]


def test_a_file_of_rejects_is_never_written_over_unasked(app: App, roster: Path, tmp_path: Path) -> None:
    kept = tmp_path / "rejected.csv"
    kept.write_text("mine")
    with pytest.raises(OperatorError, match="is there already\nNext: move it away, or write over it with --force"):
        imported(app, roster, "key\nu1\n", keep_rejects=kept)
    assert stored(app, "u1") == {}
    assert imported(app, roster, "key\nu1\n", keep_rejects=kept, force=True).inserted == 1
    assert kept.read_text() == "mine", "nothing was rejected"


def test_an_import_that_fails_leaves_no_file_of_rejects(app: App, roster: Path, tmp_path: Path) -> None:
    kept = tmp_path / "rejected.csv"
    with pytest.raises(OperatorError):
        imported(app, roster, 'key,email\nu1,nowhere\nu2,"open\n', keep_rejects=kept)
    assert sorted(path.name for path in tmp_path.glob("*reject*")) == []


# whatever stands in it

CELL = st.text(alphabet=st.sampled_from("ab1=;,|\t\"'\r\n \x00é李@."), max_size=8)


@given(st.lists(st.lists(CELL, min_size=1, max_size=4), max_size=12), st.sampled_from(DELIMITERS))
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_row_of_any_table_is_accounted_for(tmp_path: Path, table: list[list[str]], delimiter: str) -> None:
    path = tmp_path / "any.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([["key", "name", "tags"], *table])
    roster = Roster(path, examine(path), {}, allow_test=True)
    found = [row.line for row in roster.rows()]
    roster.close()
    assert len(found) == sum(any(cell.strip() for cell in row) for row in table)
    assert found == sorted(set(found))


@given(st.binary(max_size=200), st.booleans())
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_octets_whatever_crash_the_reader(tmp_path: Path, octets: bytes, headed: bool) -> None:
    path = tmp_path / "any.csv"
    path.write_bytes(b"key,name\n" + octets if headed else octets)
    try:
        roster = Roster(path, examine(path), {}, allow_test=True)
    except OperatorError:
        return
    with closing(roster), suppress(OperatorError):
        assert all(row.line > 1 and (isinstance(row, Row) or row.reason) for row in roster.rows())
