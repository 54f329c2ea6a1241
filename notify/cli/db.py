"""`notify db`: the schema's revision, and the way up and down. Going down asks first: it deletes data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from notify.cli import screen
from notify.cli.groups import Group, example
from notify.cli.options import as_json
from notify.settings import load, redact
from notify.store import Store, open_store, schema


@click.group(cls=Group, epilog=example("notify db upgrade"))
def db() -> None:
    """Move the database schema up and down."""


@db.command(epilog=example("notify db upgrade"))
@click.argument("revision", default="head")
def upgrade(revision: str) -> None:
    """Bring the schema up to REVISION; default: the one this version needs."""
    with _opened() as (store, shown):
        before = schema.current(store)
        schema.upgrade(store, revision)
        after = schema.current(store)
    head = ", the head" if after == schema.head() else ""
    moved = "is at" if after == before else f"went from {before or 'empty'} to"
    click.echo(f"{shown} {moved} revision {after}{head}{': nothing to do' if after == before else ''}.")


@db.command(epilog=example("notify db downgrade 0001", "notify db downgrade base --yes"))
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def downgrade(ctx: click.Context, revision: str, yes: bool) -> None:
    """Bring the schema down to REVISION; `base` is an empty database.

    Tables and columns that the older schema lacks are dropped, and what they hold is deleted.
    """
    with _opened() as (store, shown):
        before = schema.current(store)
        click.echo(
            f"{shown} is at revision {before or 'none'}. A downgrade deletes data; there is no way back.", err=True
        )
        if not yes and not click.confirm(f"Go down to {revision}?", err=True):
            click.echo("Nothing was changed.", err=True)
            ctx.exit(1)
        schema.downgrade(store, revision)
        after = schema.current(store)
    click.echo(f"{shown} went from {before or 'empty'} to revision {after or 'none: it is empty'}.")


@db.command(epilog=example("notify db current", "notify db current --json"))
@as_json
def current(as_json: bool) -> None:
    """Show the revision of the database, and the one this version needs."""
    with _opened() as (store, shown):
        found, head = schema.current(store), schema.head()
    if as_json:
        screen.print_json(
            {
                "database": shown,
                "current": found,
                "head": head,
                "up_to_date": found == head,
                "known": schema.revisions(),
            }
        )
        return
    agree = screen.cell("yes", "green") if found == head else screen.cell("no. Next: notify db upgrade", "yellow")
    out = screen.console()
    pairs = [("database", shown), ("current", found or "none: it is empty"), ("head", head), ("agree", agree)]
    out.print(screen.facts([*pairs, ("known", ", ".join(schema.revisions()))], indent=0))


@contextmanager
def _opened() -> Iterator[tuple[Store, str]]:
    """The database in force, and its URL without secrets."""
    url = load().database
    store = open_store(url)
    try:
        yield store, redact(url)
    finally:
        store.close()
