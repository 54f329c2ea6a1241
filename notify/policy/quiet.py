"""When a message that may go out had better wait: quiet hours and do-not-disturb, by the recipient's own clock.

Quiet hours are what a clock on the wall shows, on the nights when it is changed, too. A recipient's own come before the
tenant's. What is critical passes, and what a kind's `quiet` says becomes of the rest.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from notify.model import Defer, Kind, OnQuiet, Quiet, Recipient, Skip
from notify.policy import wall_clock
from notify.policy.rules import Rules


def at(kind: Kind, recipient: Recipient, rules: Rules, now: datetime) -> Defer | Skip | None:
    """What quiet hours make of a message that is due at `now`; None when nothing.

    What they hold is due when they end, do-not-disturb ends, or both.
    """
    if kind.critical or kind.quiet is OnQuiet.SEND:
        return None
    found = _until(recipient, rules, now)
    if found is None:
        return None
    until, rule = found
    return Skip("quiet", rule) if kind.quiet is OnQuiet.DROP else Defer(until, "quiet", rule)


def _until(recipient: Recipient, rules: Rules, now: datetime) -> tuple[datetime, str] | None:
    """Until when they last, and the rule that says so: each may end within the other."""
    undisturbed, hours = recipient.preferences.undisturbed_until, recipient.preferences.quiet
    whose, zone = "", None
    if hours is None and rules.defaults.quiet is not None:
        hours, whose = rules.defaults.quiet, ", the tenant's"
    until, said = now, list[str]()
    if hours is not None:
        zone = wall_clock.zone(recipient.timezone, rules.timezone)
    while True:
        if undisturbed is not None and undisturbed > until:
            until = undisturbed
            said.append(f"do not disturb until {until:%Y-%m-%d %H:%M} UTC")
        elif hours is not None and zone and (end := _end(hours, until, zone)) > until:
            until = end
            said.append(f"quiet hours {hours} in {zone.key}{whose}")
        else:
            return (until, ", then ".join(said)) if said else None


def _end(hours: Quiet, now: datetime, zone: ZoneInfo) -> datetime:
    return wall_clock.ends(hours.start, hours.end, now, zone) or now
