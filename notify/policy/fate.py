"""The fate of one message is decided here and nowhere else, before it is stored and again before it is sent."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from notify.model import Address, Channel, Decision, Defer, Kind, Local, Mode, Recipient, Send, Skip, Suppression
from notify.policy import quiet, wall_clock, wishes
from notify.policy.rules import NO_RULES, Rules
from notify.policy.verdict import past


def decide(
    kind: Kind,
    recipient: Recipient,
    channel: Channel,
    suppressions: Iterable[Suppression],
    now: datetime,
    *,
    mode: Mode = Mode.LIVE,
    test_recipients: Collection[str] = frozenset(),
    at: datetime | Local | None = None,
    rules: Rules = NO_RULES,
    consent: UUID | None = None,
) -> Decision:
    """Whether `recipient` gets a notification of `kind` on `channel`, and when.

    `suppressions` are those of the recipient's address; `test_recipients` are folded addresses; `rules` are the
    tenant's. `consent` is the entry of the log by which the recipient agrees to the kind's category, if there is one;
    it is only asked for where the kind is. A dry run is decided as if it were live, so that it shows what would happen.
    With `at` the answer is what holds then, but that quiet hours drop something is only said when it is due.
    """
    address = None if recipient.erased else recipient.addresses.get(channel)
    if address is None:
        return unreachable(recipient, channel)
    due, rule = meant_for(at, recipient.timezone, rules.timezone, now)
    if no := suppressed(kind, channel, suppressions, due):
        return no
    if no := wishes.against(kind, recipient, address, rules, due, agreed=consent is not None):
        return no
    if no := not_meant(address, mode, test_recipients):
        return no
    held = quiet.at(kind, recipient, rules, due)
    if due > now and not isinstance(held, Defer):
        return Defer(due, "scheduled", rule)
    return held or Send()


def due_at(fate: Send | Defer, at: datetime | Local | None, now: datetime, deadline: datetime | None) -> datetime:
    """When a worker should have it. What quiet hours would hold past its deadline is due now: so it dies at once."""
    if isinstance(fate, Send) or (at is None and past(deadline, fate.until)):
        return now
    return fate.until


def unreachable(recipient: Recipient, channel: Channel) -> Skip:
    """There is no address; or there is nobody any more, for they were erased while this was planned."""
    if recipient.erased:
        return Skip("erased", "the person was erased")
    return Skip("no_address", f"recipient has no address for {channel}")


def gone(channel: Channel) -> Skip:
    """It was planned to an address that is the recipient's no more, and can go to no other."""
    return Skip("address_gone", f"the address is no longer the recipient's, and none for {channel} takes its place")


def suppressed(kind: Kind, channel: Channel, suppressions: Iterable[Suppression], due: datetime) -> Skip | None:
    """The first of the address's suppressions that forbids it."""
    for one in suppressions:
        if one.channel is channel and one.covers(kind, due):
            return Skip("suppressed", f"suppressed for {one.scope}: {one.reason} ({one.source})")
    return None


def not_meant(address: Address, mode: Mode, test_recipients: Collection[str]) -> Skip | None:
    """A rehearsal writes to nobody who is not in it."""
    if mode is not Mode.TEST or address.folded in test_recipients:
        return None
    return Skip("not_a_test_recipient", "mode test writes only to NOTIFY_TEST_RECIPIENTS")


def meant_for(at: datetime | Local | None, timezone: str | None, default: str, now: datetime) -> tuple[datetime, str]:
    """When it should go out, and the rule that says so; never in the past."""
    if at is None or isinstance(at, datetime):
        return max(at or now, now), "send(at=…)"
    zone = wall_clock.zone(timezone, default)
    return max(wall_clock.moment(at, zone), now), f"send(at=local {at}) in {zone.key}"
