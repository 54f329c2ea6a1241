"""What a recipient does not want, or never agreed to."""

from __future__ import annotations

from datetime import datetime

from notify.model import Address, Kind, Recipient, Skip
from notify.model.preferences import FOREVER
from notify.policy.rules import Rules


def against(
    kind: Kind, recipient: Recipient, address: Address, rules: Rules, now: datetime, *, agreed: bool = False
) -> Skip | None:
    """Why this kind is not wanted at this address; None when it is. `agreed` tells of consent to its category.

    What is required needs no wish. Consent, where a kind asks for it, is needed whatever else holds.
    """
    if kind.consent and not agreed:
        return Skip("no_consent", f"the recipient never agreed to {kind.category}, or withdrew it")
    if kind.required:
        return None
    if not recipient.active:
        return Skip("inactive", "the recipient was deactivated")
    if no := _turned_off(kind, recipient, address, rules) or _paused(recipient, now):
        return no
    if rules.require_verified and not address.verified and not kind.onboarding:
        return Skip("unverified", "the address was never verified")
    return None


def _turned_off(kind: Kind, recipient: Recipient, address: Address, rules: Rules) -> Skip | None:
    """The recipient's choice; else the tenant's, but for those who agreed to the kind: that was a choice, too."""
    wanted, whose = recipient.preferences.choice(kind.category, address.channel), "by the recipient"
    if wanted is None and not kind.consent:
        wanted, whose = rules.defaults.choice(kind.category, address.channel), "by default"
    if wanted is not False:
        return None
    return Skip("preference", f"{kind.category} is turned off for {address.channel} {whose}")


def _paused(recipient: Recipient, now: datetime) -> Skip | None:
    until = recipient.preferences.paused_until
    if until is None or until <= now:
        return None
    end = "the recipient resumes" if until >= FOREVER else f"{until:%Y-%m-%d %H:%M} UTC"
    return Skip("paused", f"everything is paused until {end}")
