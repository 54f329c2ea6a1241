"""What holds now: each condition by its own rule, with the words that an operator reads and the next step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from notify.alerts.course import Condition, Sight
from notify.alerts.suppressed import SUPPRESSED, suppressed
from notify.app import App
from notify.delivery import Health, health
from notify.feedback.mailboxes import Listening, configured
from notify.model import Hold, HoldScope, Severity
from notify.store import alerts, guarding, mailboxes
from notify.store.mailboxes import Standing

DEATHS_WITHIN = timedelta(minutes=15)
DEAD = "dead"


def observe(app: App, now: datetime) -> Sight:
    """Look at everything. Raises `Unreachable` when the database does not answer."""
    providers = health(app)
    with app.store.read() as connection:
        firing = alerts.firing(connection)
        deaths = alerts.deaths(connection, now - DEATHS_WITHIN)
        waiting = alerts.waiting(connection, now)
        held = guarding.in_force(connection)
        read = mailboxes.listing(connection)
        by_mail = tuple(suppressed(connection, firing.get(SUPPRESSED), now))
    found = (
        *_providers(providers),
        *_deaths(deaths, app.settings.alert_dead, firing=DEAD in firing),
        *_held(held),
        *_mailboxes(app, read, now),
        *by_mail,
        *_queues(waiting, now, timedelta(seconds=app.settings.alert_queue_seconds)),
    )
    # while it is paused nothing tells whether it would fail, and without Redis nobody knows
    unknown = {_breaker(one) for one in providers if one.pause is not None or one.breaker is None}
    return Sight(found, frozenset(unknown))


def on_the_way_back(app: App, now: datetime) -> tuple[Condition, ...]:
    """Of what comes back, what needs an operator: rates that are held, and mailboxes that are not read.

    Raises `Unreachable`, and `InvalidSettings` for mailboxes that cannot be used.
    """
    with app.store.read() as connection:
        held = guarding.in_force(connection)
        read = mailboxes.listing(connection)
    return (*_held(held), *_mailboxes(app, read, now))


def _providers(providers: Sequence[Health]) -> Iterator[Condition]:
    """Refused credentials and open breakers. What an operator paused is no news to operators."""
    for one in providers:
        alone = not any(other.channel is one.channel and other.state in ("ready", "unknown") for other in providers)
        left = f"no provider of {one.channel} is left, its messages wait" if alone else "the others carry its messages"
        if one.pause is not None and one.pause.digest:
            yield Condition(
                f"paused:{one.name}",
                Severity.CRITICAL if alone else Severity.ERROR,
                f"provider {one.name} is paused: {one.pause.reason}; {left}. "
                f"Next: correct its URL, or mend the cause and run notify providers resume {one.name}",
            )
        elif one.pause is None and one.breaker is not None and one.failing:
            yield Condition(
                _breaker(one),
                Severity.CRITICAL if alone else Severity.WARNING,
                f"provider {one.name} takes nothing: {one.breaker.last_reason}; {left}. Next: notify providers check",
                at_once=False,
            )


def _breaker(one: Health) -> str:
    return f"breaker:{one.name}"


def _deaths(deaths: list[tuple[str, str | None, int]], bound: int, *, firing: bool) -> Iterator[Condition]:
    """Many died. It is over when they are half as many: at the bound itself it would come and go."""
    count = sum(number for _, _, number in deaths)
    if count < (bound / 2 if firing else bound):
        return
    reason, kind, most = deaths[0]
    of = f" of kind {kind}" if kind else ""
    yield Condition(
        DEAD,
        Severity.ERROR,
        f"{count:,} messages died within {DEATHS_WITHIN.total_seconds() / 60:g} min, {most:,} of them by {reason}{of}. "
        "Next: notify dead list",
    )


def _held(holds: Sequence[Hold]) -> Iterator[Condition]:
    """Rates of bounces or complaints that were too high, until an operator ends the hold."""
    for one in holds:
        if one.scope is HoldScope.MAILOUT:
            told = f"mailout {one.subject} is paused: {one.words}"
        else:
            told = f"{one.scope} {one.subject}: {one.words}; mailouts above the bound are paused"
        ways = [f"notify providers resume {one.provider}"] if one.provider else []
        ways.append(f"notify guard resume {one.id}")
        summary = f"{told}. Next: look into the addresses it goes to, then {', or '.join(ways)}"
        yield Condition(f"guard:{one.scope}:{one.subject}", Severity.ERROR, summary)


def _mailboxes(app: App, known: Mapping[str, Standing], now: datetime) -> Iterator[Condition]:
    """Mailboxes that could not be read at the last try, or were not for too long; listeners that are silent."""
    bound = timedelta(seconds=app.settings.mailbox_stale_seconds)
    for one in configured(app.settings):
        standing = known.get(one.name)
        if standing is None:  # never tried: the first tick is to come
            continue
        since = standing.scanned_at
        if standing.tried_at is not None and now - (since or standing.tried_at) > bound:
            what = "listened on" if isinstance(one, Listening) else "read"
            why = f", {standing.problem}" if standing.problem else ""
            ago = f"since {since:%Y-%m-%d %H:%M} UTC" if since else "ever"
            step = "notify bounces listen" if isinstance(one, Listening) else "notify bounces scan"
            summary = f"mailbox {one.place} was not {what} {ago}{why}. Next: {step}; notify bounces mailboxes"
            yield Condition(f"mailbox:{one.name}", Severity.ERROR, summary)
        elif standing.problem:
            what = "takes no mail" if isinstance(one, Listening) else "cannot be read"
            summary = f"mailbox {one.place} {what}: {standing.problem}. Next: notify doctor"
            yield Condition(f"mailbox:{one.name}", Severity.WARNING, summary)


def _queues(waiting: dict[str, datetime], now: datetime, bound: timedelta) -> Iterator[Condition]:
    for queue, since in sorted(waiting.items()):
        if now - since > bound:
            yield Condition(
                f"queue:{queue}",
                Severity.ERROR,
                f"work in {queue} waits that was due {since:%Y-%m-%d %H:%M} UTC. "
                f"Next: notify status; more workers for {queue.rpartition('.')[2]}",
            )
