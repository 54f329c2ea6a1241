"""`notify explain`: what became of a message, or what would become of one, and which rule decides."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import click

from notify import intake
from notify.cli import options, screen
from notify.cli.groups import example
from notify.cli.messages import ID, tell
from notify.cli.options import To, as_json, tenant
from notify.cli.wiring import opened_app
from notify.intake import Forecast
from notify.intake.forecasting import Prospect
from notify.model import Channel, Local, Mode


@click.command(
    epilog=example(
        f"notify explain {ID}",
        "notify explain --kind welcome --to user-42",
        "notify explain --kind welcome --to user-42 --at 2031-05-01T23:30+02:00 --json",
    )
)
@click.argument("message_id", metavar="[ID]", required=False)
@click.option("--kind", help="Tell what would become of a notification of this kind; nothing is stored.")
@click.option("--to", type=options.recipient, metavar="KEY|JSON", help="With --kind: to this recipient.")
@click.option("--data", type=options.data, metavar="JSON|@FILE", help="With --kind; default: the kind's sample.json.")
@click.option(
    *("--channel", "channels"),
    type=click.Choice([one.value for one in Channel]),
    multiple=True,
    help="With --kind: only by this channel; repeatable.",
)
@click.option("--at", type=options.moment, metavar="ISO", help="With --kind: if it were sent for this time.")
@click.option("--at-local", type=options.local, metavar="09:00|ISO", help="The same by the recipient's own clock.")
@click.option("--expires", type=options.deadline, metavar="5m|ISO", help="With --kind: with this deadline.")
@click.option("--mode", type=click.Choice([one.value for one in Mode]), help="With --kind. Default: live.")
@tenant
@as_json
def explain(message_id: str | None, kind: str | None, to: To | None, *, as_json: bool, **said: Any) -> None:
    """Tell what became of a message, or what would become of one.

    With ID: what was decided and by which rule, each attempt and what was answered; the same as `notify messages show`.
    With --kind and --to: for each channel what `notify send` would come to, and what every rule says of it.
    """
    given = {name: value for name, value in said.items() if value}
    if message_id is not None:
        if kind or to or given:
            raise click.UsageError("a message is explained by its id alone: leave out the options, or the id")
        tell(message_id, as_json)
        return
    if kind is None or to is None:
        raise click.UsageError("what should be explained? Give a message's id, or --kind and --to")
    _foretell(kind, to, as_json, given)


def _foretell(kind: str, to: To, as_json: bool, given: dict[str, Any]) -> None:
    local: Local | None = given.pop("at_local", None)
    at: datetime | Local | None = given.pop("at", None)
    if local is not None and at is not None:
        raise click.UsageError("--at and --at-local each say when; give one of them")
    expires: datetime | timedelta | None = given.pop("expires", None)
    with opened_app() as app:
        found = intake.forecast(app, kind, to, at=local or at, expires=expires, **given)
    if as_json:
        screen.print_json(found.as_json())
    else:
        _show(found)


def _show(found: Forecast) -> None:
    out = screen.console()
    out.print(screen.cell(f"{found.kind} to {found.recipient}", "bold"))
    out.print(screen.facts([("mode", found.mode), ("deadline", found.deadline)]))
    for one in found.channels:
        out.print(screen.cell(f"\n{one.channel}", "bold"))
        out.print(screen.facts(_outcome(one)))
        rows = [("decides" if each.decides else "", each.rule, each.says) for each in one.looked]
        out.print(screen.table(("", "Rule", "Says"), rows, whole=("", "Rule")))
        facts = [("limit", limit) for limit in one.limits]
        facts += [(f"provider {number}", name) for number, name in enumerate(one.providers, start=1)]
        out.print(screen.facts(facts or [("provider", "none is configured for this channel")]))
    out.print("\nNothing was stored, and nothing sent.")


def _outcome(one: Prospect) -> list[tuple[str, Any]]:
    return [
        ("would be", screen.state(one.outcome)),
        ("until", one.at),
        ("reason", one.reason),
        ("rule", one.rule),
        ("address", one.address or "none"),
    ]
