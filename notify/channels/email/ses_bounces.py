"""What SES calls a bounce, and whose fault that is: a transient one is never the address's.

The types and subtypes: https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
(bounce object). Resend, which sends through SES, uses the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from notify.model import BounceClass

BY_TYPE: Mapping[str, BounceClass] = MappingProxyType(
    {"permanent": BounceClass.HARD, "transient": BounceClass.SOFT, "undetermined": BounceClass.OTHER}
)
BY_SUBTYPE: Mapping[tuple[str, str], BounceClass] = MappingProxyType(
    {
        ("permanent", "general"): BounceClass.HARD,
        ("permanent", "noemail"): BounceClass.HARD,
        ("permanent", "suppressed"): BounceClass.HARD,
        ("permanent", "onaccountsuppressionlist"): BounceClass.HARD,
        ("permanent", "unsubscribedrecipient"): BounceClass.OTHER,  # a list of SES's own: the address is alive
        ("transient", "general"): BounceClass.SOFT,
        ("transient", "mailboxfull"): BounceClass.SOFT,
        ("transient", "customtimeoutexceeded"): BounceClass.SOFT,
        ("transient", "messagetoolarge"): BounceClass.CONTENT,
        ("transient", "contentrejected"): BounceClass.CONTENT,
        ("transient", "attachmentrejected"): BounceClass.CONTENT,
    }
)
POLICY = "5.7."  # RFC 3463 §3.8: security or policy, which is about the sender


def bounce_class(kind: str | None, subtype: str | None, status: str | None) -> BounceClass:
    """Whose fault it is. Of a permanent one with a status of policy: the sender's, whatever SES concludes."""
    word = (kind or "").lower()
    found = BY_SUBTYPE.get((word, (subtype or "").lower())) or BY_TYPE.get(word, BounceClass.OTHER)
    if found is BounceClass.HARD and (status or "").startswith(POLICY):
        return BounceClass.BLOCK
    return found
