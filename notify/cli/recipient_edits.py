"""`notify recipients add|set`: recipients as a person says they are; imports leave what was set here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from notify.audience import recipients as people
from notify.audience.correction import Edit, Reached
from notify.cli import screen
from notify.cli.actor import actor
from notify.cli.groups import example
from notify.cli.options import as_json, tenant, text
from notify.cli.wiring import opened_app
from notify.model import Author, Channel, Profile, Source, Status

Command = TypeVar("Command", bound=Callable[..., Any])

_EMAIL = "E-mail address to write to; further ones stand beside it."
_PHONE = "Phone number to write to, such as +31612345678; further ones stand beside it."
_ATTRIBUTE = "An attribute: NAME=TEXT, or NAME:=JSON for a number, true, a list."
_FIELDS = (
    click.option("--email", type=text, multiple=True, metavar="ADDRESS", help=_EMAIL),
    click.option("--phone", type=text, multiple=True, metavar="NUMBER", help=_PHONE),
    click.option("--name", type=text, help="The person's name, as mails print it."),
    click.option("--locale", type=text, help="Their language, such as nl or nl-BE."),
    click.option("--timezone", type=text, help="Their time zone, such as Europe/Amsterdam."),
    click.option("--attribute", "attributes", multiple=True, metavar="NAME=VALUE", help=_ATTRIBUTE),
    click.option("--tag", type=text, multiple=True, help="A tag they get."),
    click.option("--status", type=click.Choice([Status.ACTIVE.value, Status.INACTIVE.value]), help="Needs --reason."),
    click.option("--reason", type=text, help="Why: it stands in the history."),
)


def _fields(command: Command) -> Command:
    for option in reversed(_FIELDS):
        command = option(command)
    return command


@click.command(
    epilog=example(
        "notify recipients add user-43 --email grace@example.org --name Grace --locale nl --attribute floor:=3",
    )
)
@click.argument("key", type=text)
@_fields
@tenant
@as_json
def add(*, key: str, status: str | None, reason: str | None, tenant: str | None, as_json: bool, **given: Any) -> None:
    """Add a recipient. Exit code 1 when the key, or an address of theirs, is somebody's already."""
    _require_reason(status, reason)
    said = _said(given)
    if given["tag"]:
        said["tags"] = given["tag"]
    with opened_app() as app:
        by, active = _author(reason), status != Status.INACTIVE
        made = people.add(app, {"key": key, **said}, by=by, active=active, tenant=tenant)
    _tell(made, "Added", as_json)


@click.command(
    "set",
    epilog=example(
        "notify recipients set user-42 --locale nl --attribute floor:=4 --reason 'asked by phone'",
        "notify recipients set user-42 --status inactive --reason 'on leave until May'",
        "notify recipients set user-42 --follow-imports locale",
    ),
)
@click.argument("key", type=text)
@_fields
@click.option("--untag", type=text, multiple=True, metavar="TAG", help="A tag they lose.")
@click.option("--unset", type=text, multiple=True, metavar="FIELD", help="Empty a field, or forget an attribute.")
@click.option("--primary", type=text, multiple=True, metavar="ADDRESS", help="Write to this address from now on.")
@click.option("--remove", type=text, multiple=True, metavar="ADDRESS", help="Take an address away.")
@click.option("--follow-imports", type=text, multiple=True, metavar="FIELD", help="Let imports change it again.")
@tenant
@as_json
def set_(
    *,
    key: str,
    status: str | None,
    reason: str | None,
    untag: tuple[str, ...],
    unset: tuple[str, ...],
    primary: tuple[str, ...],
    remove: tuple[str, ...],
    follow_imports: tuple[str, ...],
    tenant: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Change a recipient by hand: imports leave these fields from now on.

    --email and --phone take the place of the primary address. Attributes are changed one by one. Whoever is made
    inactive gets required notifications only, and no import brings them back.
    """
    _require_reason(status, reason)
    edit = Edit(
        said=_said(given),
        tag=given["tag"],
        untag=untag,
        unset=unset,
        active=None if status is None else status == Status.ACTIVE,
        removed=_reached(remove),
        primary=_reached(primary),
        follow=follow_imports,
    )
    if edit == Edit():
        raise click.UsageError("say what is to be changed, such as --locale nl")
    with opened_app() as app:
        before = people.get(app, key, tenant=tenant)
        after = people.edit(app, key, edit, by=_author(reason), tenant=tenant)
    _tell(after, "Left as it was" if after == before else "Changed", as_json)


def _author(reason: str | None) -> Author:
    return Author(actor(), Source.CLI, reason)


def _require_reason(status: str | None, reason: str | None) -> None:
    if status is not None and reason is None:
        raise click.UsageError("say why with --reason: it stands in the recipient's history")


def _said(given: Mapping[str, Any]) -> dict[str, Any]:
    """A description of the recipient, from the options that were given."""
    said: dict[str, Any] = {name: given[name] for name in ("name", "locale", "timezone") if given[name] is not None}
    said |= {name: given[name] for name in ("email", "phone") if given[name]}
    if given["attributes"]:
        said["attributes"] = dict(map(_attribute, given["attributes"]))
    return said


def _attribute(given: str) -> tuple[str, Any]:
    name, equals, value = given.partition("=")
    if not equals or not name.strip(":"):
        raise click.BadParameter(f"{given!r:.60} is no attribute; write it like floor:=3 or company=Example")
    if not name.endswith(":"):
        return name, value
    try:
        return name[:-1], json.loads(value)
    except json.JSONDecodeError as error:
        raise click.BadParameter(
            f"{name[:-1]}, column {error.colno}: {error.msg}; behind := stands JSON, and a text behind ="
        ) from None


def _reached(given: Sequence[str]) -> tuple[Reached, ...]:
    return tuple((Channel.EMAIL if "@" in one else Channel.SMS, one) for one in given)


def _tell(one: Profile, done: str, as_json: bool) -> None:
    if as_json:
        screen.print_json(one.as_json())
    else:
        click.echo(f"{done}: {one.key}.")
