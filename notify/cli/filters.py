"""The options by which commands say which messages or dead letters are meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import click

from notify.app import App
from notify.cli.options import Command, channel, deadline, text
from notify.errors import NotFound
from notify.model import Channel, ErrorClass, Filter
from notify.store import notifications, tenants

IDS = click.argument("ids", type=click.UUID, nargs=-1, metavar="[ID]...")
_KIND = click.option("--kind", type=text, help="Only of this kind.")
_CHANNEL = channel("Only on this channel.")
_REASON = click.option("--reason", type=text, help="Only with this reason.")
_NOTIFICATION = click.option(
    *("--notification", "--mailout", "notification"),
    type=text,
    metavar="ID_OR_KEY",
    help="Only of this notification.",
)
_ERROR = click.option(
    "--error", type=click.Choice([one.value for one in ErrorClass]), help="Only of this class of error."
)
_PROVIDER = click.option(
    "--provider", type=text, metavar="NAME", help="Only those whose last try was by this provider."
)
_SINCE = click.option(
    "--since", type=deadline, metavar="TIME", help="Only those that died then or later; 2h is two hours ago."
)
_UNTIL = click.option(
    "--until", type=deadline, metavar="TIME", help="Only those that died before; 2h is two hours ago."
)
_FINGERPRINT = click.option("--fingerprint", type=text, help="Only of this cause; `notify dead list` shows it.")
MESSAGES = (_KIND, _CHANNEL, _REASON, _NOTIFICATION)
DEAD_LETTERS = (_KIND, _CHANNEL, _ERROR, _REASON, _PROVIDER, _SINCE, _UNTIL, _NOTIFICATION, _FINGERPRINT)


def by(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Give a command these options, in their order; it takes them as `**given`."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def require_some(given: Mapping[str, Any], everything: bool, what: str) -> None:
    """What is changed is named, or is everything on purpose; else UsageError."""
    if not everything and not any(given.values()):
        raise click.UsageError(f"say which are meant, by id or by an option; --all means every {what}")
    if everything and any(given.values()):
        raise click.UsageError(f"--all means every {what}: nothing can be chosen beside it")


def read(app: App, tenant: str | None, given: Mapping[str, Any]) -> tuple[UUID, Filter]:
    """The tenant, and the filter that these options make. Raises `NotFound` for an unknown tenant or notification."""
    chosen = {name: value for name, value in given.items() if value}
    with app.store.read() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        named = chosen.pop("notification", None)
        if named is not None:
            found = notifications.find(connection, tenant_id, _id_or_key(named))
            if found is None:
                raise NotFound(f"no notification {named!r} in this tenant")
            chosen["notification_id"] = found.id

    def moment(said: timedelta | datetime) -> datetime:
        return app.clock.now() - said if isinstance(said, timedelta) else said

    readers: dict[str, Callable[[Any], Any]] = {
        **{"channel": Channel, "error": ErrorClass, "ids": tuple},
        **{"since": moment, "until": moment},
    }
    return tenant_id, Filter(**{name: readers.get(name, _as_it_is)(value) for name, value in chosen.items()})


def _as_it_is(value: Any) -> Any:
    return value


def _id_or_key(given: str) -> UUID | str:
    try:
        return UUID(given)
    except ValueError:
        return given
