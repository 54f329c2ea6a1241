"""What commands print: tables for people, one JSON document for programs. No value can steer the terminal."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

WIDE = 240  # columns where no terminal sets a width: what is piped on is not cut off
STYLES: Mapping[str, str] = {
    "sent": "green",
    "ready": "green",
    "delivered": "green",
    "accepted": "green",
    "rendered": "green",
    "queued": "cyan",
    "sending": "cyan",
    "skipped": "yellow",
    "cancelled": "yellow",
    "in_doubt": "yellow",
    "transient": "yellow",
    "throttled": "yellow",
    "uncertain": "yellow",
    "paused": "red",
    "open": "red",
    "half open": "yellow",
    "unknown": "yellow",
    "dead": "red",
    "bounced": "red",
    "complained": "red",
    "rejected": "red",
    "received": "cyan",
    "processed": "green",
    "misconfigured": "red",
    "unrenderable": "red",
    "expired": "red",
    "poison": "red",
    "task": "red",
    "active": "green",
    "inactive": "yellow",
    "running": "cyan",
    "done": "green",
}
"""Colours of states and outcomes."""

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def console(*, stderr: bool = False) -> Console:
    """Standard output as rich writes it; colours only on a terminal."""
    found = Console(markup=False, highlight=False, emoji=False, stderr=stderr)
    if not found.is_terminal and "COLUMNS" not in os.environ:
        found.width = WIDE
    return found


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def cell(value: Any, style: str = "") -> Text:
    """A value as text: moments in UTC, nothing for None, and control characters made visible."""
    return Text(plain(value), style)


def plain(value: Any) -> str:
    """See `cell`."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(value).replace("\r\n", "\n"))


def state(word: str) -> Text:
    """A state or an outcome in its colour."""
    return Text(word, STYLES.get(word, ""))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, whole: Sequence[str] = (), right: Sequence[str] = ()
) -> Table:
    """A table. Columns named in `whole` are never wrapped, those in `right` are aligned right."""
    drawn = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        drawn.add_column(name, no_wrap=name in whole, overflow="fold", justify="right" if name in right else "left")
    for row in rows:
        drawn.add_row(*(value if isinstance(value, Text) else cell(value) for value in row))
    return drawn


def facts(pairs: Iterable[tuple[str, Any]], *, indent: int = 2) -> RenderableType:
    """Names and values, one pair a line; pairs without a value are left out."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        if value is not None and value != "":
            grid.add_row(name, value if isinstance(value, Text) else cell(value))
    return Padding(grid, (0, 0, 0, indent), expand=False)


def counts(tally: Mapping[str, int]) -> Text:
    """How many of each state: `queued 2, skipped 1`."""
    return Text(", ").join(state(word).append(f" {count:,}", "default") for word, count in tally.items())
