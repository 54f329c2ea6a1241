"""`notify dead export`: dead letters for other programs, line by line."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from itertools import chain
from typing import Any

import click

from notify.cli import filters
from notify.cli.filters import DEAD_LETTERS, IDS, by
from notify.cli.groups import example
from notify.cli.options import tenant
from notify.cli.wiring import opened_app
from notify.delivery import replay as replaying
from notify.errors import NotFound
from notify.store import dead_letters as store

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # OWASP, "CSV Injection": a spreadsheet would run what begins so


@click.command(epilog=example("notify dead export --since 2031-05-01T00:00Z --format csv > dead.csv"))
@IDS
@by(*DEAD_LETTERS)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["jsonl", "csv"]),
    default="jsonl",
    help="A JSON object on each line, or CSV for a spreadsheet. Default: jsonl.",
)
@tenant
def export(*, format_: str, tenant: str | None, **given: Any) -> None:
    """Write dead letters to standard output, oldest first; all of them unless ids or options choose.

    Addresses are in it. In CSV, what a spreadsheet would take for a formula has an apostrophe before it. Exit code 1
    when nothing matches.
    """
    with opened_app() as app:
        tenant_id, wanted = filters.read(app, tenant, given)
        lines = (letter.as_json() for letter in store.every(app.store, tenant_id, wanted))
        first = next(lines, None)
        if first is None:
            raise NotFound(replaying.NONE)
        rest = chain([first], lines)
        if format_ == "csv":
            _csv(rest)
        else:
            _jsonl(rest)


def _jsonl(lines: Iterator[dict[str, Any]]) -> None:
    for line in lines:
        click.echo(json.dumps(line, ensure_ascii=False))


def _csv(lines: Iterator[dict[str, Any]]) -> None:
    rows = csv.writer(sys.stdout)
    for number, line in enumerate(lines):
        if number == 0:
            rows.writerow(line)
        rows.writerow(map(_harmless, line.values()))
    sys.stdout.flush()


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
