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

    What is required needs no wish. Consent, where a kind asks for it, and the proof that an address is theirs, where
    the installation asks for that, are needed whatever else holds.
    """
    if no := unagreed(kind, agreed=agreed) or unverified(kind, address, rules):
        return no
    if kind.required:
        return None
    return inactive(recipient) or turned_off(kind, recipient, address, rules) or paused(recipient, now)


def unagreed(kind: Kind, *, agreed: bool) -> Skip | None:
    """Consent that the kind asks for and nobody gave."""
    if not kind.consent or agreed:
        return None
    return Skip("no_consent", f"the recipient never agreed to {kind.category}, or withdrew it")


def inactive(recipient: Recipient) -> Skip | None:
    """An operator's or a roster's word that they are written to no more."""
    return None if recipient.active else Skip("inactive", "the recipient was deactivated")


def turned_off(kind: Kind, recipient: Recipient, address: Address, rules: Rules) -> Skip | None:
    """The recipient's choice; else the tenant's, but for those who agreed to the kind: that was a choice, too."""
    wanted, whose = recipient.preferences.choice(kind.category, address.channel), "by the recipient"
    if wanted is None and not kind.consent:
        wanted, whose = rules.defaults.choice(kind.category, address.channel), "by default"
    if wanted is not False:
        return None
    return Skip("preference", f"{kind.category} is turned off for {address.channel} {whose}")


def paused(recipient: Recipient, now: datetime) -> Skip | None:
    """The recipient's pause of everything."""
    until = recipient.preferences.paused_until
    if until is None or until <= now:
        return None
    end = "the recipient resumes" if until >= FOREVER else f"{until:%Y-%m-%d %H:%M} UTC"
    return Skip("paused", f"everything is paused until {end}")


def unverified(kind: Kind, address: Address, rules: Rules) -> Skip | None:
    """An address that nobody showed to be theirs, where that is asked for."""
    if not rules.require_verified or address.verified or kind.onboarding:
        return None
    return Skip("unverified", "the address was never verified")
