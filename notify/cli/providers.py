"""`notify providers`: how each stands, whether it answers, and whether it is to be used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import Any

import click
from uuid_utils.compat import uuid7

from notify.app import App
from notify.channels import Configured
from notify.channels.email import address as addresses
from notify.channels.email.letter import envelope
from notify.channels.provider import Checkable, Metered, Provider
from notify.channels.single import hand_over
from notify.cli import UNHEALTHY, screen
from notify.cli.actor import actor
from notify.cli.groups import Group, example
from notify.cli.options import as_json, text
from notify.cli.wiring import opened_app
from notify.delivery import Health, health, pauses
from notify.errors import DeliveryError, InvalidProvider, Misconfigured, Rejected, Throttled, Uncertain
from notify.feedback import guard
from notify.model import Mode
from notify.telemetry import scrub

COLUMNS = ("Channel", "", "Provider", "State", "Since or until", "Part", "Rate", "Left", "Last trouble")
STEPS: dict[type[DeliveryError], str] = {
    Misconfigured: "correct its URL in the settings; where a worker paused it, notify providers resume {name}",
    Throttled: "wait; give it a ?rate= that it allows",
    Rejected: "read what it says about the sender, and about this address",
    Uncertain: "look whether the mail arrived, and whether the host stays reachable",
}
ELSE = "check host and port in its URL, and the way there: firewall, DNS, the provider's status page"
only = click.option("--provider", "name", type=text, metavar="NAME", help="Only this one; default: each.")


@click.group(cls=Group, epilog=example("notify providers list"))
def providers() -> None:
    """Show, check and test providers; pause and resume them."""


@providers.command("list", epilog=example("notify providers list", "notify providers list --json | jq '.[].state'"))
@as_json
def list_(as_json: bool) -> None:
    """List every provider in the order of failover: its state, its part, what it has left, its last trouble."""
    with opened_app() as app:
        rows = [_facts(one) for one in health(app)]
    if as_json:
        screen.print_json([{name: _as_json(value) for name, value in row.items()} for row in rows])
        return
    drawn = (
        (
            *(row["channel"], row["position"], row["name"], screen.state(row["state"])),
            row["until"] or row["since"],
            *(_part(row), _rate(row), _left(row["quota"])),
            " ".join(filter(None, [row["last_trouble"], screen.plain(row["last_trouble_at"])])),
        )
        for row in rows
    )
    screen.console().print(screen.table(COLUMNS, drawn, whole=("Channel", "Provider", "State"), right=("",)))


@providers.command(epilog=example("notify providers check", "notify providers check --provider main --json"))
@only
@as_json
@click.pass_context
def check(ctx: click.Context, name: str | None, as_json: bool) -> None:
    """Ask each provider whether it answers and takes the credentials. Nothing is sent.

    Exit code 2 when one does not.
    """
    with opened_app() as app:
        found = [_tried(one, checked) for one in _chosen(app, name)]
    _report(ctx, found, as_json)


@providers.command(
    epilog=example("notify providers test ops@example.org", "notify providers test ops@example.org --provider main")
)
@click.argument("email", type=text)
@only
@as_json
@click.pass_context
def test(ctx: click.Context, email: str, name: str | None, as_json: bool) -> None:
    """Send a real mail to EMAIL through each provider, paused or not, and show its receipt.

    It is no message: nothing is stored, no limit counts it, and it is not tried again. Exit code 2 when one fails.
    """
    with opened_app() as app:
        to = addresses.parse(email, allow_test=True)
        found = [_tried(one, partial(_test, app, one.name, to)) for one in _chosen(app, name)]
    _report(ctx, found, as_json)


@providers.command(epilog=example("notify providers pause main --reason 'maintenance until noon'"))
@click.argument("name", type=text)
@click.option("--reason", type=text, default="by hand", show_default=True, help="Why, for whoever looks later.")
@as_json
def pause(name: str, reason: str, as_json: bool) -> None:
    """Pass this provider over, whatever becomes of its URL, until it is resumed."""
    with opened_app() as app:
        done = pauses.pause(app, name, actor=actor(), reason=reason)
    if as_json:
        screen.print_json({"name": name, "paused": True, "changed": done})
    else:
        click.echo(f"Paused {name}: workers know within a second." if done else f"{name} was paused already.")


@providers.command(epilog=example("notify providers resume main"))
@click.argument("name", type=text)
@as_json
def resume(name: str, as_json: bool) -> None:
    """Use this provider again: what waits for it is due now.

    Mailouts by it that the guard has paused go on, too; what was sent until now counts no more against them.
    """
    with opened_app() as app:
        ended = guard.resume(app, actor=actor(), provider=name)
        try:
            done = pauses.resume(app, name, actor=actor())
        except InvalidProvider:
            if not ended:
                raise
            done = False  # it is no longer used here: only holds knew it
    if as_json:
        holds = [str(one.id) for one in ended]
        screen.print_json({"name": name, "paused": False, "changed": done, "holds_ended": holds})
    else:
        click.echo(f"Resumed {name}: workers know within a second." if done else f"{name} was not paused.")
        for one in ended:
            click.echo(f"The guard holds {one.scope} {one.subject} no longer: {one.words}.")


def _facts(one: Health) -> dict[str, Any]:
    """One row of the list, in JSON's types but for moments."""
    configured, paused, breaker = one.configured, one.pause, one.breaker
    return {
        "channel": str(one.channel),
        "position": one.position,
        "name": one.name,
        "state": one.state,
        "since": paused and paused.paused_at,
        "until": None if paused or not breaker else breaker.until,
        "why": paused and f"{paused.reason} ({paused.actor})",
        "weight": configured.weight,
        "share": configured.share,
        "rate": configured.rate and str(configured.rate),
        "quota": _quota(configured.provider),
        "last_trouble": paused.reason if paused else breaker and breaker.last_reason,
        "last_trouble_at": paused.paused_at if paused else breaker and breaker.last_at,
    }


def _as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _part(row: dict[str, Any]) -> str:
    if row["share"] is not None:
        return f"{row['share'] * 100:g} %"
    return "" if row["weight"] is None else f"weight {row['weight']}"


def _rate(row: dict[str, Any]) -> str:
    """The rate of its URL, else the one that its API tells, which workers keep to."""
    pace = (row["quota"] or {}).get("per_second")
    return row["rate"] or ("" if pace is None else f"{pace:g}/s (quota)")


def _quota(provider: Provider) -> dict[str, Any] | None:
    """What it has left, where its API tells (see `Metered`)."""
    if not isinstance(provider, Metered):
        return None
    try:
        return asdict(provider.quota())
    except DeliveryError as error:
        return {"error": scrub(str(error))}


def _left(quota: dict[str, Any] | None) -> str:
    if quota is None:
        return ""
    if "error" in quota:
        return "not told"
    left, limit, pace = quota["remaining"], quota["limit"], quota["per_second"]
    said = [] if left is None else [f"{left:,}" + ("" if limit is None else f" of {limit:,}")]
    return ", ".join([*said, *([] if pace is None else [f"{pace:g}/s"])])


def _chosen(app: App, name: str | None) -> Sequence[Configured]:
    return list(app.channels.every().values()) if name is None else [app.channels.named(name)]


def checked(provider: Provider) -> str:
    """What is to be said of a provider that answers. Raises `DeliveryError` for one that does not.

    By its own question (see `Checkable`), or by opening a connection and logging in.
    """
    if isinstance(provider, Checkable):
        provider.check()
    else:
        with provider.open():
            pass
    return "answers, and takes the credentials"


def _test(app: App, name: str, to: str, provider: Provider) -> str:
    mail = envelope(
        app.settings,
        message_id=uuid7(),
        address=to,
        name=None,
        subject=f"notify, through {name}",
        html=None,
        text=f"This mail was sent by `notify providers test` through the provider {name}.\n",
        date=app.clock.now(),
        mode=Mode.TEST,
    )
    receipt = hand_over(provider, mail)
    return f"accepted: {receipt.response}" + (f" ({receipt.provider_id})" if receipt.provider_id else "")


def _tried(one: Configured, ask: Callable[[Provider], str]) -> dict[str, Any]:
    known = {"name": one.name, "channel": str(one.provider.channel)}
    try:
        return {**known, "ok": True, "said": ask(one.provider)}
    except DeliveryError as error:
        step = STEPS.get(type(error), ELSE).format(name=one.name)
        return {**known, "ok": False, "reason": error.reason, "said": scrub(error.response), "next": step}


def _report(ctx: click.Context, found: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        screen.print_json(list(found))
    else:
        for line in _lines(found):
            screen.console().print(line)
    if not all(one["ok"] for one in found):
        ctx.exit(UNHEALTHY)


def _lines(found: Sequence[dict[str, Any]]) -> Iterator[Any]:
    for one in found:
        if one["ok"]:
            yield screen.cell(f"✓ {one['name']}: {one['said']}", "green")
        else:
            yield screen.cell(f"✗ {one['name']}: {one['reason']}: {one['said']}".rstrip(": "), "red")
            yield screen.cell(f"  Next: {one['next']}")
