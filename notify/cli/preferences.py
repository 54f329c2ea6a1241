"""`notify preferences`: what a recipient chose, what holds, and what counts for those who chose nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from notify.app import App
from notify.audience import preferences as choices
from notify.audience.preferences import Cell, Matrix, Row
from notify.cli import screen
from notify.cli.actor import actor
from notify.cli.groups import Group, example
from notify.cli.options import as_json, moment, tenant, text
from notify.cli.preference_links import link
from notify.cli.wiring import opened_app
from notify.model import Author, Preferences, Source
from notify.model.preferences import FOREVER

WORDS = {"on": True, "off": False, "default": None}
NONE = "none"

reason = click.option("--reason", type=text, help="Why; it stands in the recipient's history.")
on_or_off = click.argument("choice", type=click.Choice(list(WORDS)))


@click.group(cls=Group, epilog=example("notify preferences show user-42"))
def preferences() -> None:
    """Show and set what recipients want, and when."""


preferences.add_command(link)


@preferences.command(epilog=example("notify preferences show user-42", "notify preferences show user-42 --json"))
@click.argument("key", type=text)
@tenant
@as_json
def show(key: str, tenant: str | None, as_json: bool) -> None:
    """Show what a recipient chose, and what holds, for every category and channel in use."""
    with opened_app() as app:
        found = choices.get(app, key, tenant=tenant)
    if as_json:
        screen.print_json(_json(found))
        return
    rows = [_cells(row, channel, cell) for row in found.rows for channel, cell in row.cells.items()]
    out = screen.console()
    out.print(screen.table(("Category", "Title", "Channel", "Chosen", "Holds"), rows, whole=("Category",)))
    hours = found.quiet or found.default_quiet
    pairs = [
        ("quiet hours", hours and f"{hours}{'' if found.quiet else ' (by default)'}"),
        ("paused until", _until(found.paused_until)),
        ("not disturbed until", _until(found.undisturbed_until)),
    ]
    if any(value for _, value in pairs):
        out.print()
        out.print(screen.facts(pairs))


@preferences.command(
    "set",
    epilog=example("notify preferences set user-42 jobs email off", "notify preferences set user-42 jobs sms default"),
)
@click.argument("key", type=text)
@click.argument("category", type=text)
@click.argument("channel", type=text)
@on_or_off
@reason
@tenant
@as_json
def set_(
    *, key: str, category: str, channel: str, choice: str, reason: str | None, tenant: str | None, as_json: bool
) -> None:
    """Choose whether a category comes on a channel; `default` forgets the choice.

    What is required cannot be turned off: then the exit code is 1.
    """
    cells = {(category, channel): WORDS[choice]}
    _change(lambda app: choices.choose(app, key, cells, by=_by(reason), tenant=tenant), as_json)


@preferences.command(
    epilog=example(
        "notify preferences pause user-42", "notify preferences pause user-42 --until 2031-05-01T09:00+02:00"
    )
)
@click.argument("key", type=text)
@click.option("--until", type=moment, help="When it ends, in ISO 8601 with an offset; default: when it is resumed.")
@reason
@tenant
@as_json
def pause(key: str, until: datetime | None, reason: str | None, tenant: str | None, as_json: bool) -> None:
    """Hold back all that is not required."""
    _change(lambda app: choices.pause(app, key, until, by=_by(reason), tenant=tenant), as_json)


@preferences.command(epilog=example("notify preferences resume user-42"))
@click.argument("key", type=text)
@reason
@tenant
@as_json
def resume(key: str, reason: str | None, tenant: str | None, as_json: bool) -> None:
    """End a pause."""
    _change(lambda app: choices.resume(app, key, by=_by(reason), tenant=tenant), as_json)


@preferences.command(
    epilog=example("notify preferences quiet user-42 22:00-07:00", "notify preferences quiet user-42 none")
)
@click.argument("key", type=text)
@click.argument("hours", type=text)
@reason
@tenant
@as_json
def quiet(key: str, hours: str, reason: str | None, tenant: str | None, as_json: bool) -> None:
    """Set the quiet hours of a recipient's day, such as 22:00-07:00; `none`: those of the tenant."""
    span = None if hours == NONE else hours
    _change(lambda app: choices.quiet(app, key, span, by=_by(reason), tenant=tenant), as_json)


@preferences.command(
    epilog=example(
        "notify preferences disturb user-42 2031-05-01T09:00+02:00", "notify preferences disturb user-42 now"
    )
)
@click.argument("key", type=text)
@click.argument("until", type=text)
@reason
@tenant
@as_json
def disturb(key: str, until: str, reason: str | None, tenant: str | None, as_json: bool) -> None:
    """Disturb a recipient not before this moment, in ISO 8601 with an offset; `now`: at once again."""
    end = None if until == "now" else moment(until)
    _change(lambda app: choices.do_not_disturb(app, key, end, by=_by(reason), tenant=tenant), as_json)


@preferences.command(epilog=example("notify preferences reset user-42"))
@click.argument("key", type=text)
@reason
@tenant
@as_json
def reset(key: str, reason: str | None, tenant: str | None, as_json: bool) -> None:
    """Forget whatever a recipient chose."""
    _change(lambda app: choices.reset(app, key, by=_by(reason), tenant=tenant), as_json)


@preferences.command(
    epilog=example(
        "notify preferences defaults",
        "notify preferences defaults --set jobs email off --tenant acme",
        "notify preferences defaults --quiet 22:00-07:00",
    )
)
@click.option(
    "--set", "cells", nargs=3, type=text, multiple=True, metavar="CATEGORY CHANNEL on|off|default", help="Choose."
)
@click.option("--quiet", type=text, metavar="HOURS", help="Quiet hours such as 22:00-07:00, or none.")
@tenant
@as_json
def defaults(cells: tuple[tuple[str, str, str], ...], quiet: str | None, tenant: str | None, as_json: bool) -> None:
    """Show or set what counts for recipients who chose nothing: the tenant's, over those of categories.toml."""
    chosen = {(category, channel): _word(word) for category, channel, word in cells}
    with opened_app() as app:
        if chosen:
            choices.set_default(app, chosen, by=_by(None), tenant=tenant)
        if quiet is not None:
            choices.set_default_quiet(app, None if quiet == NONE else quiet, by=_by(None), tenant=tenant)
        found = choices.defaults(app, tenant=tenant)
    if as_json:
        screen.print_json(found.as_json())
        return
    _show_defaults(found)


def _show_defaults(found: Preferences) -> None:
    out = screen.console()
    rows = [
        (category, channel, "on" if on else "off")
        for category, row in found.choices.items()
        for channel, on in row.items()
    ]
    if rows:
        out.print(screen.table(("Category", "Channel", "Default"), rows, whole=("Category",)))
    out.print("Whatever is not listed is on." if rows else "Everything is on.")
    if found.quiet:
        out.print(f"Quiet hours: {found.quiet}")


def _change(change: Callable[[App], bool], as_json: bool) -> None:
    with opened_app() as app:
        changed = change(app)
    if as_json:
        screen.print_json({"changed": changed})
    else:
        click.echo("Changed." if changed else "It was so already: nothing was changed.")


def _by(reason: str | None) -> Author:
    return Author(actor(), Source.CLI, reason)


def _word(word: str) -> bool | None:
    if word not in WORDS:
        raise click.BadParameter(f"{word!r} is neither on, off nor default")
    return WORDS[word]


def _cells(row: Row, channel: str, cell: Cell) -> tuple[Any, ...]:
    chosen = "" if cell.chosen is None else "on" if cell.chosen else "off"
    why = "required" if row.category.required else {None: "", True: "agreed", False: "not agreed to"}[row.agreed]
    holds = screen.cell("on" if cell.effective else "off", "green" if cell.effective else "yellow")
    return row.category.name, row.category.title, channel, chosen, holds.append(f" ({why})", "dim") if why else holds


def _until(end: datetime | None) -> Any:
    return "the recipient resumes" if end is not None and end >= FOREVER else end


def _json(found: Matrix) -> dict[str, Any]:
    def moment_of(end: datetime | None) -> str | None:
        return end.isoformat() if end else None

    return {
        "categories": [
            {
                "category": row.category.name,
                "title": row.category.title,
                "required": row.category.required,
                "agreed": row.agreed,
                "channels": {
                    channel: {"chosen": cell.chosen, "default": cell.default, "effective": cell.effective}
                    for channel, cell in row.cells.items()
                },
            }
            for row in found.rows
        ],
        "quiet": str(found.quiet) if found.quiet else None,
        "default_quiet": str(found.default_quiet) if found.default_quiet else None,
        "paused_until": moment_of(found.paused_until),
        "undisturbed_until": moment_of(found.undisturbed_until),
    }
