"""`notify recipients erase` and `export-person`: what people may ask of those who hold their data."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from notify.audience import dossier, erasure
from notify.cli import screen
from notify.cli.actor import actor
from notify.cli.groups import example
from notify.cli.options import as_json, tenant, text
from notify.cli.wiring import opened_app


@click.command(epilog=example("notify recipients erase user-42 --reason 'asked by mail on 3 May'"))
@click.argument("key", type=text)
@click.option("--reason", type=text, required=True, help="Why; the audit keeps it, so name nobody in it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@tenant
@as_json
def erase(*, key: str, reason: str, yes: bool, tenant: str | None, as_json: bool) -> None:
    """Forget a person for good: addresses, attributes, what was sent to them, and their history.

    Counts stay, the audit keeps an anonymous trail, and what they refused stays refused, should the address come back.
    Nothing undoes it.
    """
    if not yes:
        click.confirm(f"Erase {key!r} for good?", abort=True, err=True)
    with opened_app() as app:
        erased = erasure.erase(app, key, reason=reason, actor=actor(), tenant=tenant)
    if as_json:
        screen.print_json(asdict(erased))
    else:
        out = screen.console()
        out.print(screen.cell(f"Erased. What is left of it is known as erased:{erased.id}."))
        out.print(
            screen.facts(
                [
                    ("messages cancelled", erased.cancelled),
                    ("suppressions kept as tombstones", erased.tombstones),
                    ("audit rows made anonymous", erased.audit_rows),
                ]
            )
        )
        if erased.segments:
            out.print(screen.cell(f"Saved segments that name them still: {', '.join(erased.segments)}."))
            out.print("Next: write these anew, or remove them: notify segments --help")


@click.command("export-person", epilog=example("notify recipients export-person user-42 --file user-42.json"))
@click.argument("key", type=text)
@click.option("--file", type=click.Path(dir_okay=False, path_type=Path), help="Write it there; default: to the screen.")
@tenant
def export_person(*, key: str, file: Path | None, tenant: str | None) -> None:
    """Write everything that is kept of a person as JSON."""
    with opened_app() as app:
        told = dossier.export_person(app, key, actor=actor(), tenant=tenant)
    if file is None:
        screen.print_json(told)
        return
    file.touch(mode=0o600)
    file.write_text(json.dumps(told, ensure_ascii=False, indent=2), encoding="utf-8")
    click.echo(f"Wrote {sum(map(len, told['tables'].values())):,} rows to {file}.")
