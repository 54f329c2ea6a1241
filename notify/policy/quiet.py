"""When a message that may go out had better wait: the recipient's quiet hours."""

from __future__ import annotations

from datetime import datetime

from notify.model import Defer, Kind, OnQuiet, Recipient, Skip
from notify.policy.rules import Rules


def at(kind: Kind, recipient: Recipient, rules: Rules, now: datetime) -> Defer | Skip | None:
    """What quiet hours make of a message that is due now; None when nothing."""
    if kind.critical or kind.quiet is OnQuiet.SEND:
        return None
    until = recipient.preferences.undisturbed_until
    if until is None or until <= now:
        return None
    rule = f"do not disturb until {until:%Y-%m-%d %H:%M} UTC"
    return Skip("quiet", rule) if kind.quiet is OnQuiet.DROP else Defer(until, "quiet", rule)
