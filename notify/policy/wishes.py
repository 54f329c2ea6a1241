"""What a recipient does not want, or never agreed to."""

from __future__ import annotations

from datetime import datetime

from notify.model import Address, Kind, Recipient, Skip
from notify.policy.rules import Rules


def against(kind: Kind, recipient: Recipient, address: Address, rules: Rules, now: datetime) -> Skip | None:
    """Why this kind is not wanted at this address; None when it is."""
    if kind.required:
        return None
    if not recipient.active:
        return Skip("inactive", "the recipient was deactivated")
    wanted = recipient.preferences.choice(kind.category, address.channel)
    if wanted is None:
        wanted = rules.defaults.choice(kind.category, address.channel)
    if wanted is False:
        return Skip("preference", f"{kind.category} is turned off for {address.channel}")
    until = recipient.preferences.paused_until
    if until is not None and until > now:
        return Skip("paused", f"everything is paused until {until:%Y-%m-%d %H:%M} UTC")
    if rules.require_verified and not address.verified and not kind.onboarding:
        return Skip("unverified", "the address was never verified")
    return None
