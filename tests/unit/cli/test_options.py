"""What is given on the command line, and where a mistake in it stands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest

from notify.cli import options


def test_a_recipient_is_a_key_or_a_description() -> None:
    assert options.recipient("user-42") == "user-42"
    assert options.recipient(' {"key": "user-43"}') == {"key": "user-43"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"a": }', "line 1, column 7: Expecting value"),
        ('{"a": 1,\n "b" 2}', "line 2, column 6: Expecting ':' delimiter"),
        ("[1]", "line 1, column 1: expected a JSON object like {…}, not a list"),
        ("null", "line 1, column 1: expected a JSON object like {…}, not null"),
    ],
)
def test_a_mistake_in_json_is_named_by_its_position(text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(click.BadParameter) as told:
        options.data(text)
    assert told.value.message == complaint
    file = tmp_path / "data.json"
    file.write_text(text)
    with pytest.raises(click.BadParameter) as told:
        options.data(f"@{file}")
    assert told.value.message == f"{file}, {complaint}"


def test_data_comes_from_a_file() -> None:
    with pytest.raises(click.BadParameter, match=r"cannot read missing\.json: No such file"):
        options.data("@missing.json")


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "data.json"
    file.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(click.BadParameter, match="not UTF-8"):
        options.data(f"@{file}")


def test_recipients_stand_one_on_a_line() -> None:
    lines = ['{"key": "a", "email": "a@example.org"}\n', "\n", '"b"\n']
    assert options.recipients_in(lines, "people.jsonl") == [{"key": "a", "email": "a@example.org"}, "b"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('{"key" "a"}', "people.jsonl, line 2, column 8: Expecting ':' delimiter"),
        (
            "null",
            "people.jsonl, line 2, column 1: a recipient is an object with a key, or a text that is one, not null",
        ),
    ],
)
def test_a_line_that_is_no_recipient_is_named(line: str, complaint: str) -> None:
    with pytest.raises(click.BadParameter) as told:
        options.recipients_in(['"a"', line], "people.jsonl")
    assert told.value.message == complaint


def test_a_moment_needs_an_offset_from_utc() -> None:
    assert options.moment("2031-05-01T09:00+02:00").astimezone(UTC) == datetime(2031, 5, 1, 7, tzinfo=UTC)
    with pytest.raises(click.BadParameter, match="no offset from UTC"):
        options.moment("2031-05-01T09:00")
    with pytest.raises(click.BadParameter, match="write it like"):
        options.moment("tomorrow")


def test_a_deadline_is_a_span_or_a_moment() -> None:
    assert options.deadline("5m") == timedelta(minutes=5)
    assert options.deadline("2031-05-01T09:00+00:00") == datetime(2031, 5, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("5 minutes", "such as 30s or 5m, not '5 minutes'; or a moment like 2031-05-01T09:00"),
        ("2031-05-01T09:00", "has no offset from UTC"),
    ],
)
def test_a_deadline_that_is_neither_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(click.BadParameter) as told:
        options.deadline(text)
    assert complaint in told.value.message
