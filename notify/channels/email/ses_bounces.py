"""What SES calls a bounce, and whose fault that is: a transient one is never the address's.

The types and subtypes: https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
(bounce object). Resend, which sends through SES, uses the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from notify.channels.email.bounce_status import softened
from notify.model import BounceClass

BY_TYPE: Mapping[str, BounceClass] = MappingProxyType(
    {"permanent": BounceClass.HARD, "transient": BounceClass.SOFT, "undetermined": BounceClass.OTHER}
)
BY_SUBTYPE: Mapping[tuple[str, str], BounceClass] = MappingProxyType(
    {
        ("permanent", "general"): BounceClass.HARD,
        ("permanent", "noemail"): BounceClass.HARD,
        ("permanent", "suppressed"): BounceClass.HARD,  # of what bounced lately
        ("permanent", "onaccountsuppressionlist"): BounceClass.OTHER,  # of what bounced, and of who complained
        ("permanent", "unsubscribedrecipient"): BounceClass.OTHER,
        ("transient", "general"): BounceClass.SOFT,
        ("transient", "mailboxfull"): BounceClass.SOFT,
        ("transient", "customtimeoutexceeded"): BounceClass.SOFT,
        ("transient", "messagetoolarge"): BounceClass.CONTENT,
        ("transient", "contentrejected"): BounceClass.CONTENT,
        ("transient", "attachmentrejected"): BounceClass.CONTENT,
    }
)
"""A list of SES's own proves a death only where nothing but bounces leads to it."""


def bounce_class(kind: str | None, subtype: str | None, status: str | None) -> BounceClass:
    """Whose fault it is."""
    word = (kind or "").lower()
    found = BY_SUBTYPE.get((word, (subtype or "").lower())) or BY_TYPE.get(word, BounceClass.OTHER)
    return softened(found, status)
