"""How many rows of a roster are imported in a second: all of them new, then the same again, then a tenth changed.

`python -m benchmarks.rosters --rows 200000 --json` ends with one JSON line: `inserts`, `again` and `changes` in rows/s,
`exported` likewise, `cpu_us` that a new row costs its process, `rss_mb` of the largest process at its peak, database
and machine. It is the commands' own functions that run, each in a process of its own.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from benchmarks import machine, product
from benchmarks.services import Failed, exit_on_sigterm, postgresql, temporary_folder, valkey
from notify.app import open_app
from notify.audience.roster.exporting import export_csv
from notify.audience.roster.importing import import_roster
from notify.model import Lane
from notify.settings import load

HEADER = ("key", "email", "name", "locale", "timezone", "tags", "status", "company")
LOCALES = ("en", "nl-BE", "fr", "cs")
ZONES = ("Europe/Amsterdam", "Europe/Prague", "America/Toronto", "Asia/Kolkata")
CHANGED = 10
"""One row of so many is changed in the third round."""


def measure(rows: int, *, database: str = "postgresql") -> dict[str, Any]:
    """Import a roster of `rows` three times into an empty database, and export it."""
    facts = machine.facts()
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        socket = stack.enter_context(valkey(folder))
        url = stack.enter_context(postgresql()) if database == "postgresql" else f"sqlite:///{folder / 'notify.db'}"
        with product.installed(url, socket, folder, Lane.BULK) as app:
            facts["database"] = product.database_version(app)
        first, second = folder / "first.csv", folder / "second.csv"
        _write(first, rows, 0)
        _write(second, rows, CHANGED)
        rounds = {"inserts": first, "again": first, "changes": second}
        found = {name: _round(url, path) for name, path in rounds.items()}
        found["exported"] = _round(url, folder / "out.csv", export=True)
    _check(found, rows)
    return {
        **{name: round(rows / one["seconds"], 1) for name, one in found.items()},
        "cpu_us": round(found["inserts"]["cpu"] / rows * 1e6, 2),
        "rss_mb": max(one["rss_mb"] for one in found.values()),
        "rows": rows,
        "database": database,
        "machine": facts,
    }


def _write(path: Path, rows: int, changed: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for number in range(rows):
            zone = ZONES[(number + 1 if changed and number % changed == 0 else number) % len(ZONES)]
            key, email = f"user-{number}", f"reader.{number}@{number % 997}.example.com"
            writer.writerow((key, email, f"Reader Ž {number}", LOCALES[number % 4], zone, "beta", "active", "Lab"))


def _round(url: str, path: Path, *, export: bool = False) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.rosters", "--round", str(path), *(["--export"] if export else [])]
    done = subprocess.run(
        command, env={**os.environ, "NOTIFY_DATABASE_URL": url}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failed(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _one(path: Path, export: bool) -> dict[str, Any]:
    app = open_app(load(env_file=None))
    counts: dict[str, int] = {}
    began, cpu = time.perf_counter(), time.process_time()
    if export:
        with path.open("w", encoding="utf-8", newline="") as file:
            counts["exported"] = export_csv(app, file)
    else:
        result = import_roster(app, path, actor="benchmark")
        counts = {"inserted": result.inserted, "updated": result.updated, "unchanged": result.unchanged}
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    app.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": took, "cpu": cpu, "rss_mb": round(peak, 1), **counts}


def _check(found: dict[str, dict[str, Any]], rows: int) -> None:
    changed = len(range(0, rows, CHANGED))
    expected = (
        ("inserts", "inserted", rows),
        ("again", "unchanged", rows),
        ("changes", "updated", changed),
        ("exported", "exported", rows),
    )
    for name, what, count in expected:
        if found[name][what] != count:
            raise Failed(f"{name}: {count} rows should be {what}, but {found[name]}")


@click.command(help=__doc__)
@click.option("--rows", type=click.IntRange(min=1), default=200_000, show_default=True)
@click.option("--database", type=click.Choice(["postgresql", "sqlite"]), default="postgresql", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="End with one JSON line.")
@click.option("--round", "path", type=click.Path(path_type=Path), hidden=True)
@click.option("--export", is_flag=True, hidden=True)
def main(rows: int, database: str, as_json: bool, path: Path | None, export: bool) -> None:
    """The command."""
    exit_on_sigterm()
    if path is not None:
        click.echo(json.dumps(_one(path, export)))
        return
    found = measure(rows, database=database)
    if as_json:
        click.echo(json.dumps(found))
    else:
        for name in ("inserts", "again", "changes", "exported", "cpu_us", "rss_mb"):
            click.echo(f"{name:<16}{found[name]:>12,}")


if __name__ == "__main__":
    main()
