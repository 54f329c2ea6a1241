"""`notify segments`: conditions about recipients, saved by name; who is in one, and why."""

from __future__ import annotations

from typing import Any

import click

from notify.audience.segments import saved
from notify.audience.segments.saved import SHOWN, Answer, Preview
from notify.cli import screen
from notify.cli.actor import actor
from notify.cli.groups import Group, example
from notify.cli.options import as_json, tenant, text
from notify.cli.wiring import opened_app
from notify.store.segments import Member, Saved

WANTED = click.argument("segment", metavar="NAME|EXPRESSION")
PILOTS = "'tags has \"pilot\" and not opened within 30d'"


@click.group(cls=Group, epilog=example(f"notify segments add pilots {PILOTS}", "notify segments preview pilots"))
def segments() -> None:
    """Save conditions about recipients by name; count, show and explain who fulfils them."""


@segments.command("list", epilog=example("notify segments list --json"))
@tenant
@as_json
def list_(tenant: str | None, as_json: bool) -> None:
    """List the saved segments."""
    with opened_app() as app:
        found = saved.listing(app, tenant=tenant)
    if as_json:
        screen.print_json([_json(one) for one in found])
        return
    out = screen.console()
    if not found:
        out.print("No segments yet.")
        return
    rows = [(one.name, one.expression, one.updated_at) for one in found]
    out.print(screen.table(("Name", "Expression", "Changed"), rows, whole=("Name", "Changed")))


@segments.command(epilog=example(f"notify segments add pilots {PILOTS}"))
@click.argument("name")
@click.argument("expression")
@click.option("--replace", is_flag=True, help="In place of another of that name.")
@tenant
@as_json
def add(name: str, expression: str, replace: bool, tenant: str | None, as_json: bool) -> None:
    """Save a segment, and count who is in it.

    A name is one word. docs/segments.md describes the language of expressions.
    """
    with opened_app() as app:
        made = saved.add(app, name, expression, actor=actor(), replace=replace, tenant=tenant)
        total = saved.count(app, made.name, tenant=tenant)
    if as_json:
        screen.print_json({**_json(made), "count": total})
    else:
        click.echo(f"Saved {made.name}: {_people(total)}.")


@segments.command(epilog=example("notify segments show pilots"))
@click.argument("name")
@tenant
@as_json
def show(name: str, tenant: str | None, as_json: bool) -> None:
    """Show a saved segment."""
    with opened_app() as app:
        found = saved.get(app, name, tenant=tenant)
    if as_json:
        screen.print_json(_json(found))
        return
    pairs = [("expression", found.expression), ("created", found.created_at), ("changed", found.updated_at)]
    out = screen.console()
    out.print(screen.cell(f"segment {found.name}", "bold"))
    out.print(screen.facts(pairs))


@segments.command(epilog=example("notify segments remove pilots"))
@click.argument("name")
@tenant
@as_json
def remove(name: str, tenant: str | None, as_json: bool) -> None:
    """Forget a saved segment. What is being sent to it goes on."""
    with opened_app() as app:
        saved.remove(app, name, actor=actor(), tenant=tenant)
    if as_json:
        screen.print_json({"removed": name})
    else:
        click.echo(f"Removed {name}.")


@segments.command(epilog=example(f"notify segments count {PILOTS}"))
@WANTED
@tenant
@as_json
def count(segment: str, tenant: str | None, as_json: bool) -> None:
    """Count the recipients who are in a segment."""
    with opened_app() as app:
        total = saved.count(app, segment, tenant=tenant)
    if as_json:
        screen.print_json({"count": total})
    else:
        click.echo(_people(total))


@segments.command(epilog=example("notify segments preview pilots --limit 5"))
@WANTED
@click.option("--limit", type=click.IntRange(1, 1000), default=SHOWN, help=f"At most so many. Default: {SHOWN}.")
@click.option("--after", type=text, metavar="KEY", help="Those whose keys come after this one.")
@tenant
@as_json
def preview(segment: str, limit: int, after: str | None, tenant: str | None, as_json: bool) -> None:
    """Show who is in a segment, in the order of keys."""
    with opened_app() as app:
        found = saved.preview(app, segment, after=after or "", limit=limit, tenant=tenant)
    if as_json:
        people = [_member(one) for one in found.members]
        facts = {"expression": found.expression, "count": found.count}
        screen.print_json({**facts, "recipients": people, "after": found.after})
    else:
        _show(found)


@segments.command(epilog=example("notify segments explain pilots user-42"))
@WANTED
@click.argument("key", type=text)
@tenant
@as_json
def explain(segment: str, key: str, tenant: str | None, as_json: bool) -> None:
    """Tell which conditions of a segment hold for one recipient, and which do not."""
    with opened_app() as app:
        answer = saved.explain(app, segment, key, tenant=tenant)
    if as_json:
        screen.print_json(answer.as_json())
        return
    out = screen.console()
    out.print(f"{key} is {'in it' if answer.holds else 'not in it'}:")
    _tree(answer)


def _tree(answer: Answer) -> None:
    for line in answer.lines(1):
        held = line.lstrip().startswith("yes")
        screen.console().print(screen.cell(line, "green" if held else "yellow"), soft_wrap=True)


def _show(found: Preview) -> None:
    out = screen.console()
    out.print(f"{_people(found.count)} fulfil{'s' if found.count == 1 else ''}: {screen.plain(found.expression)}")
    if not found.members:
        return
    columns = ("Recipient", "Addresses", "Locale", "Tags")
    rows = [(one.key, ", ".join(one.addresses.values()), one.locale, ", ".join(one.tags)) for one in found.members]
    out.print(screen.table(columns, rows, whole=("Recipient",)))
    if found.after:
        out.print(screen.cell(f"There are more; --after {found.after} shows those that follow.", "dim"))


def _people(total: int) -> str:
    return f"{total:,} recipient{'' if total == 1 else 's'}"


def _json(one: Saved) -> dict[str, Any]:
    times = {"created_at": one.created_at.isoformat(), "updated_at": one.updated_at.isoformat()}
    return {"name": one.name, "expression": one.expression, **times}


def _member(one: Member) -> dict[str, Any]:
    return {"key": one.key, "addresses": dict(one.addresses), "locale": one.locale, "tags": list(one.tags)}
