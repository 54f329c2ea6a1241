"""The fate of one message is decided here and nowhere else, before it is stored and again before it is sent."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from notify.model import Channel, Decision, Defer, Kind, Mode, Recipient, Send, Skip, Suppression
from notify.policy import quiet, wishes
from notify.policy.rules import NO_RULES, Rules


def decide(
    kind: Kind,
    recipient: Recipient,
    channel: Channel,
    suppressions: Iterable[Suppression],
    now: datetime,
    *,
    mode: Mode = Mode.LIVE,
    test_recipients: Collection[str] = frozenset(),
    at: datetime | None = None,
    rules: Rules = NO_RULES,
    consent: UUID | None = None,
) -> Decision:
    """Whether `recipient` gets a notification of `kind` on `channel`, and when.

    `suppressions` are those of the recipient's address; `test_recipients` are folded addresses; `rules` are the
    tenant's. `consent` is the entry of the log by which the recipient agrees to the kind's category, if there is one;
    it is only asked for where the kind is. A dry run is decided as if it were live, so that it shows what would happen.
    """
    address = recipient.addresses.get(channel)
    if address is None:
        return Skip("no_address", f"recipient has no address for {channel}")
    for suppression in suppressions:
        if suppression.channel is channel and suppression.covers(kind.category, now):
            return Skip(
                "suppressed", f"suppressed for {suppression.scope}: {suppression.reason} ({suppression.source})"
            )
    if no := wishes.against(kind, recipient, address, rules, now, agreed=consent is not None):
        return no
    if mode is Mode.TEST and address.folded not in test_recipients:
        return Skip("not_a_test_recipient", "mode test writes only to NOTIFY_TEST_RECIPIENTS")
    if at is not None and at > now:
        return Defer(at, "scheduled", "send(at=…)")
    return quiet.at(kind, recipient, rules, now) or Send()
