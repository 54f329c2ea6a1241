"""Where a message stands after what came back of it: the furthest that any event proves, in whatever order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from types import MappingProxyType

from notify.model import EventType, MessageState

WAY = (MessageState.SENT, MessageState.DELIVERED, MessageState.BOUNCED, MessageState.COMPLAINED)
"""The states that feedback moves a message through. None is ever left for an earlier one."""
FED = (MessageState.IN_DOUBT, *WAY)
"""The states in which a message learns from events."""
PROVES: Mapping[EventType, MessageState] = MappingProxyType(
    {
        EventType.ACCEPTED: MessageState.SENT,
        EventType.DEFERRED: MessageState.SENT,  # who tries to deliver it has taken it
        EventType.DELIVERED: MessageState.DELIVERED,
        EventType.OPENED: MessageState.DELIVERED,  # by a machine, too: it stands where the mail arrived
        EventType.CLICKED: MessageState.DELIVERED,
        EventType.UNSUBSCRIBED: MessageState.DELIVERED,
        EventType.REPLIED: MessageState.DELIVERED,
        EventType.AUTO_REPLIED: MessageState.DELIVERED,
        EventType.READ: MessageState.DELIVERED,
        EventType.BOUNCED: MessageState.BOUNCED,
        EventType.COMPLAINED: MessageState.COMPLAINED,
    }
)
"""What an event proves of its message."""


def after(state: MessageState, event: EventType) -> MessageState:
    """The state once this event is known. One that is queued, in a worker's hands or final stays as it is."""
    proven = PROVES[event]
    if state is MessageState.IN_DOUBT:
        return proven
    return max(state, proven, key=WAY.index) if state in WAY else state


def fold(state: MessageState, events: Iterable[EventType]) -> MessageState:
    """The state once these are known: the same in any order."""
    return reduce(after, events, state)


def steps(was: MessageState, state: MessageState) -> tuple[MessageState, ...]:
    """The states to pass from `was` to `state`, each by a step that TRANSITIONS knows."""
    if was is state:
        return ()
    doubted = was is MessageState.IN_DOUBT and state is not MessageState.SENT
    return (MessageState.SENT, state) if doubted else (state,)
