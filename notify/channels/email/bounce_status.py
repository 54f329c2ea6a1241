"""Whose fault the receiving server's own status says a bounce is: it may clear an address that a provider condemns."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from notify.channels.facts import status_in
from notify.model import BounceClass

BY_NUMBERS: Mapping[str, BounceClass] = MappingProxyType(
    {
        "1": BounceClass.HARD,  # §3.2, the address
        "1.7": BounceClass.BLOCK,  # the sender's address
        "1.8": BounceClass.BLOCK,
        "2.1": BounceClass.HARD,
        "2.2": BounceClass.SOFT,  # §3.3, full
        "2.3": BounceClass.CONTENT,  # longer than the mailbox takes
        "3.4": BounceClass.CONTENT,  # §3.4, too big for the system
        "4.7": BounceClass.SOFT,  # §3.5, its time ran out
        "6": BounceClass.CONTENT,  # §3.7
        "7": BounceClass.BLOCK,  # §3.8, security and policy
    }
)
"""By subject and detail of RFC 3463, or by the subject alone. What is not here tells nothing."""

_FOR_NOW = "4"  # §2: the first number, that it may work later


def by_status(status: str | None) -> BounceClass | None:
    """What an enhanced status (RFC 3463) says by itself; None when it says nothing."""
    grade, _, numbers = (status_in(status) or "").partition(".")
    found = BY_NUMBERS.get(numbers) or BY_NUMBERS.get(numbers.partition(".")[0])
    return BounceClass.SOFT if grade == _FOR_NOW and found in (None, BounceClass.HARD) else found


def softened(found: BounceClass, status: str | None) -> BounceClass:
    """What a provider concluded, but never that an address is dead where the status says something else."""
    return (by_status(status) or found) if found is BounceClass.HARD else found
