"""`notify recipients import` and `export`: a roster goes in, and each row that does not is named; and out again."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from notify.app import App
from notify.audience.roster.account import KEPT, Altered, Imported, Refused
from notify.audience.roster.exporting import export_csv, export_lines
from notify.audience.roster.file import NAMES
from notify.audience.roster.importing import Manner, import_roster
from notify.audience.roster.writing import new_file
from notify.cli import REFUSED, screen
from notify.cli.actor import actor
from notify.cli.groups import example
from notify.cli.options import as_json, tenant, text
from notify.cli.wiring import opened_app

SHOWN = 20
_SIGNS = {name: sign for sign, name in NAMES.items()}

PATH = click.Path(dir_okay=False, path_type=Path)
FORCE = click.option("--force", is_flag=True, help="Write over a file that is there already.")


def _mapping(_ctx: click.Context, _param: click.Parameter, given: Sequence[str]) -> dict[str, list[str]]:
    """`COLUMN=FIELD`, repeated, as the fields of each column."""
    found: dict[str, list[str]] = {}
    for one in given:
        column, equals, meaning = one.rpartition("=")
        if not equals or not column.strip():
            raise click.BadParameter(f"{one!r} is not COLUMN=FIELD, such as 'E-mail address=email'")
        found.setdefault(column.strip(), []).append(meaning.strip())
    return found


@click.command(
    "import",
    epilog=example(
        "notify recipients import roster.csv --dry-run",
        "notify recipients import people.csv --map 'E-mail address=email' --tag pilot --rejects rejected.csv",
    ),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would change, row by row, and change nothing.")
@click.option(
    "--map",
    "mapping",
    multiple=True,
    callback=_mapping,
    metavar="COLUMN=FIELD",
    help="What a column means: a field, or an attribute's name; nothing leaves it out. Repeat it for more.",
)
@click.option(
    "--tag", "tags", multiple=True, type=text, help="Add this tag to everyone of the file. Repeat it for more."
)
@click.option("--encoding", metavar="NAME", help="How the file is encoded, such as windows-1250. Default: found out.")
@click.option("--delimiter", type=click.Choice(list(_SIGNS)), help="What stands between cells. Default: found out.")
@click.option("--rejects", type=PATH, metavar="FILE", help="Write the rows that are left out to a new file.")
@FORCE
@tenant
@as_json
@click.pass_context
def import_(
    ctx: click.Context,
    /,
    *,
    file: Path,
    dry_run: bool,
    tenant: str | None,
    as_json: bool,
    rejects: Path | None,
    force: bool,
    **given: Any,
) -> None:
    """Import a CSV file of people.

    The column `key` is needed; email, phone, name, locale, timezone, status and tags (separated by ;) are known, and
    any other column becomes an attribute. Encoding and delimiter are found out. Importing again changes only what
    differs; an empty cell changes nothing, what was set by hand stays, and nobody is brought back who is inactive or
    suppressed. Rows that cannot be used are listed with their line, the others are imported: then the exit code is 1.
    With --dry-run, --json prints a line for every row that would change something, and the summary as the last one.
    """
    sign = _SIGNS[given["delimiter"]] if given["delimiter"] else None
    manner = Manner(given["encoding"], sign, given["mapping"], given["tags"])
    changes: list[Altered] = []
    tell = _lines if as_json else _some(changes)
    with opened_app() as app:
        options = {"tenant": tenant, "manner": manner, "dry_run": dry_run, "keep_rejects": rejects, "force": force}
        result = _import(app, file, tell if dry_run else None, options)
    summary = {"file": str(file), "dry_run": dry_run, **asdict(result)}
    if as_json and dry_run:
        click.echo(json.dumps(summary, ensure_ascii=False))
    elif as_json:
        screen.print_json(summary)
    else:
        _show(result, changes, dry_run, rejects)
    if result.refused_rows:
        ctx.exit(REFUSED)


@click.command(
    epilog=example(
        "notify recipients export --file roster.csv", "notify recipients export --tag pilot --json | head -1"
    )
)
@click.option("--file", type=click.Path(dir_okay=False, allow_dash=True), default="-", help="Default: standard output.")
@click.option("--tag", "tags", multiple=True, type=text, help="Only who has this tag, or another one that is named.")
@FORCE
@tenant
@click.option("--json", "as_json", is_flag=True, help="Write a JSON object on each line, with the types of attributes.")
def export(*, file: str, tags: Sequence[str], force: bool, tenant: str | None, as_json: bool) -> None:
    """Write everyone to a CSV file that can be imported again: that changes nothing.

    In the order of their keys: key, email, phone (if anyone has one), name, locale, timezone, tags, status, and every
    attribute. What a spreadsheet would take for a formula has an apostrophe before it, which the import takes away.
    Addresses are in it: a file is for its owner alone to read.
    """
    with opened_app() as app:
        write = _jsonl if as_json else export_csv
        if file == "-":
            write(app, sys.stdout, tenant=tenant, tags=tags)
            sys.stdout.flush()
        else:
            with new_file(Path(file), force=force) as out:
                count = write(app, out, tenant=tenant, tags=tags)
            screen.console(stderr=True).print(screen.cell(f"{count:,} recipients written to {file}", "dim"))


def _jsonl(app: App, out: TextIO, *, tenant: str | None, tags: Sequence[str]) -> int:
    count = 0
    for count, one in enumerate(export_lines(app, tenant=tenant, tags=tags), start=1):  # noqa: B007 - is returned
        out.write(json.dumps(one, ensure_ascii=False) + "\n")
    return count


def _import(app: App, file: Path, tell: Callable[[Altered], None] | None, options: dict[str, Any]) -> Imported:
    """Import, with a progress bar on standard error where that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    err = screen.console(stderr=True)
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(f"Reading {screen.plain(file.name)}", total=None)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        return import_roster(app, file, actor=actor(), tell=tell, progress=progress, **options)


def _lines(altered: Altered) -> None:
    click.echo(json.dumps(asdict(altered), ensure_ascii=False, default=str))


def _some(kept: list[Altered]) -> Callable[[Altered], None]:
    def keep(altered: Altered) -> None:
        if len(kept) < SHOWN:
            kept.append(altered)

    return keep


def _show(result: Imported, changes: Sequence[Altered], dry_run: bool, rejects: Path | None) -> None:
    out = screen.console()
    if result.word:
        out.print(
            screen.cell(f"Read as {result.encoding}, a guess: is {result.word!r} right? Else: --encoding", "yellow")
        )
    _list("Refused:", result.refused, result.refused_rows, "red", rejects)
    title = "Passed over, for the first row of a key counts:"
    _list(title, result.duplicates, result.duplicate_rows, "yellow", rejects)
    if changes:
        _differences(changes, result.inserted + result.updated)
    rows = [
        ("inserted", result.inserted),
        ("updated", result.updated),
        ("unchanged", result.unchanged),
        ("addresses suppressed", result.suppressed),
        ("rows passed over", result.duplicate_rows),
        ("rows refused", result.refused_rows),
    ]
    out.print(screen.table(("Recipients", ""), [(name, f"{count:,}") for name, count in rows], right=("",)))
    if dry_run:
        out.print("Nothing was changed: this was a dry run.")
    elif not result.inserted + result.updated + result.suppressed:
        out.print("Nothing was changed: all of it was so already.")
    if rejects is not None and result.refused_rows + result.duplicate_rows:
        out.print(screen.cell(f"Left out: {rejects}. Mend it, and import it like any other roster."))


def _differences(changes: Sequence[Altered], total: int) -> None:
    out = screen.console()
    out.print(screen.cell("Would change:", "bold"))
    rows = [
        (
            f"line {one.line}" if number == 0 else "",
            ("+ " if one.inserted else "~ ") + one.key if number == 0 else "",
            field,
            _value(after) if one.inserted else f"{_value(before)} → {_value(after)}",
        )
        for one in changes
        for number, (field, (before, after)) in enumerate(one.fields.items() or [("", (None, None))])
    ]
    out.print(screen.table(("", "recipient", "field", "value"), rows))
    if total > len(changes):
        out.print(screen.cell(f"  … and {total - len(changes):,} more; --json lists all", "dim"))
    out.print()


def _all_of(total: int) -> str:
    return "--json lists all" if total <= KEPT else "--rejects FILE keeps all"


def _value(value: Any) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _list(title: str, rows: Sequence[Refused], total: int, style: str, rejects: Path | None) -> None:
    if not rows:
        return
    out = screen.console()
    out.print(screen.cell(title, style))
    out.print(screen.facts([(f"line {row.line}", row.reason) for row in rows[:SHOWN]]))
    if total > SHOWN:
        where = f"{rejects} holds all" if rejects else _all_of(total)
        out.print(screen.cell(f"  … and {total - SHOWN:,} more; {where}", "dim"))
    out.print()
