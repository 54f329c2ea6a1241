"""What commands are given, read and checked: JSON with the position of a mistake, recipients, moments."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from notify.model import Channel, Local
from notify.settings import duration
from notify.store import text as texts

To = str | dict[str, Any]
Command = TypeVar("Command", bound=Callable[..., Any])


def text(given: str) -> str:
    """One line of text that can be looked up in a database; else BadParameter."""
    return texts.line("the value", given, click.BadParameter)


as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document, and nothing else.")
tenant = click.option("--tenant", type=text, metavar="KEY", help="The tenant; default: the one every installation has.")


def channel(words: str, *name: str, **more: Any) -> Callable[[Command], Command]:
    """The option --channel, by the names that the database has."""
    return click.option("--channel", *name, type=click.Choice([one.value for one in Channel]), help=words, **more)


def data(text: str) -> dict[str, Any]:
    """A JSON object as it stands, or `@FILE` to read one from; BadParameter names line and column of a mistake."""
    if not text.startswith("@"):
        return _object(text)
    path = Path(text[1:])
    try:
        return _object(path.read_text(encoding="utf-8"), f"{path}, ")
    except OSError as error:
        raise click.BadParameter(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"{path} is not UTF-8: {error}") from None


def recipient(text: str) -> To:
    """The key of a known recipient; what begins with a brace is a JSON object that describes one."""
    return _object(text) if text.lstrip().startswith("{") else text


def moment(text: str) -> datetime:
    """A moment in ISO 8601. Without an offset from UTC it would mean something else elsewhere: BadParameter."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}; write it like 2031-05-01T09:00+02:00") from None
    if found.tzinfo is None:
        raise click.BadParameter(f"{text!r} has no offset from UTC; write it like 2031-05-01T09:00+02:00")
    return found


def local(text: str) -> Local:
    """A time by each recipient's own clock; BadParameter when it is none."""
    try:
        return Local.parse(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}; write it like 09:00 or 2031-05-01T09:00") from None


def span(text: str) -> timedelta:
    """A duration such as 2h; BadParameter when it is none."""
    try:
        return duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def deadline(text: str) -> timedelta | datetime:
    """A duration such as 5m, or a moment in ISO 8601; BadParameter when it is neither."""
    try:
        return duration(text)
    except ValueError as error:
        if "T" in text or "-" in text:
            return moment(text)
        raise click.BadParameter(f"{error}; or a moment like 2031-05-01T09:00+02:00") from None


def recipients_in(lines: Iterable[str], source: str) -> list[To]:
    """One recipient per line, each a JSON object or a JSON text that is a key; empty lines are passed over.

    BadParameter names line and column of a mistake.
    """
    found: list[To] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            one = json.loads(line)
        except json.JSONDecodeError as error:
            raise click.BadParameter(f"{source}, line {number}, column {error.colno}: {error.msg}") from None
        if not isinstance(one, str | dict):
            raise click.BadParameter(
                f"{source}, line {number}, column 1: a recipient is an object with a key, or a text that is one, "
                f"not {_JSON_NAMES[type(one)]}"
            )
        found.append(one)
    return found


def _object(text: str, where: str = "") -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise click.BadParameter(f"{where}line {error.lineno}, column {error.colno}: {error.msg}") from None
    if not isinstance(value, dict):
        raise click.BadParameter(
            f"{where}line 1, column 1: expected a JSON object like {{…}}, not {_JSON_NAMES[type(value)]}"
        )
    return value


_JSON_NAMES = {str: "a text", list: "a list", bool: "a boolean", int: "a number", float: "a number", type(None): "null"}
