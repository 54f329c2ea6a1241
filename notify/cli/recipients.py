"""`notify recipients`: the people who are notified. A roster goes in; a row that does not is named with the reason."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from notify.app import App
from notify.audience.roster import Imported, Refused, import_roster
from notify.cli import REFUSED, screen
from notify.cli.actor import actor
from notify.cli.groups import Group, example
from notify.cli.options import as_json, tenant
from notify.cli.recipient_edits import add, set_
from notify.cli.recipient_lists import history, list_, show
from notify.cli.verification import verify
from notify.cli.wiring import opened_app

SHOWN = 20


@click.group(cls=Group, epilog=example("notify recipients list --tag pilot", "notify recipients show user-42"))
def recipients() -> None:
    """List, show, add, change and import the people who are notified."""


for _command in (list_, show, add, set_, history, verify):
    recipients.add_command(_command)


@recipients.command(
    "import",
    epilog=example(
        "notify recipients import roster.csv --dry-run", "notify recipients import roster.csv --tenant acme"
    ),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would happen, and change nothing.")
@tenant
@as_json
@click.pass_context
def import_(ctx: click.Context, file: Path, dry_run: bool, tenant: str | None, as_json: bool) -> None:
    """Import a CSV file of people.

    The column `key` is needed; email, name, locale, timezone, status and tags (separated by ;) are known, and any other
    column becomes an attribute. Importing again changes only what differs; an empty cell changes nothing. Rows that
    cannot be used are listed with their line, the others are imported: then the exit code is 1.
    """
    with opened_app() as app:
        result = _import(app, file, tenant, dry_run)
    if as_json:
        screen.print_json({"file": str(file), "dry_run": dry_run, **asdict(result)})
    else:
        _show(result, dry_run)
    if result.refused:
        ctx.exit(REFUSED)


def _import(app: App, file: Path, tenant: str | None, dry_run: bool) -> Imported:
    """Import, with a progress bar on standard error where that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    err = screen.console(stderr=True)
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(f"Reading {screen.plain(file.name)}", total=None)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        return import_roster(app, file, actor=actor(), tenant=tenant, dry_run=dry_run, progress=progress)


def _show(result: Imported, dry_run: bool) -> None:
    _list("Refused:", result.refused, "red")
    _list("Passed over, for the first row of a key counts:", result.duplicates, "yellow")
    out = screen.console()
    rows = [
        ("inserted", result.inserted),
        ("updated", result.updated),
        ("unchanged", result.unchanged),
        ("addresses suppressed", result.suppressed),
        ("rows passed over", len(result.duplicates)),
        ("rows refused", len(result.refused)),
    ]
    out.print(screen.table(("Recipients", ""), [(name, f"{count:,}") for name, count in rows], right=("",)))
    if dry_run:
        out.print("Nothing was changed: this was a dry run.")


def _list(title: str, rows: list[Refused], style: str) -> None:
    if not rows:
        return
    out = screen.console()
    out.print(screen.cell(title, style))
    out.print(screen.facts([(f"line {row.line}", row.reason) for row in rows[:SHOWN]]))
    if len(rows) > SHOWN:
        out.print(screen.cell(f"  … and {len(rows) - SHOWN:,} more; --json lists all", "dim"))
    out.print()
