"""One message through one provider, outside of every batch: nothing is journalled, and nothing is tried again."""

from __future__ import annotations

from notify.channels.provider import Envelope, Provider, Receipt
from notify.errors import DeliveryError, Transient


def hand_over(provider: Provider, envelope: Envelope) -> Receipt:
    """Hand over this envelope. Raises the `DeliveryError` with which it was not, or may not have been, accepted."""
    with provider.open() as connection:
        for _, outcome in connection.send_all(iter([envelope]), _Agreed()):
            if isinstance(outcome, DeliveryError):
                raise outcome
            return outcome
    raise Transient("unreachable", "the connection ended before it came to this message")


class _Agreed:
    """A Watch that notes nothing and always says yes."""

    def begin(self, envelope: Envelope, line: int) -> None:
        """There is no journal."""

    def may_go_on(self) -> bool:
        """Nothing is in the way."""
        return True
