"""How each provider stands, for people and alerts: ready, open, throttled, paused, and what was last wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

from notify.app import App
from notify.channels import Configured
from notify.delivery.breaker import Breakers, BreakerState, Snapshot
from notify.errors import Unreachable
from notify.model import Channel, Pause
from notify.store import provider_pauses

WORDS = {
    BreakerState.CLOSED: "ready",
    BreakerState.OPEN: "open",
    BreakerState.HALF_OPEN: "half open",
    BreakerState.HELD: "throttled",
}


@dataclass(frozen=True, slots=True)
class Health:
    """One provider; `position` counts from 1. `breaker` is None when Redis, which keeps it, does not answer."""

    channel: Channel
    position: int
    configured: Configured
    pause: Pause | None
    breaker: Snapshot | None

    @property
    def name(self) -> str:
        """What it is called."""
        return self.configured.name

    @property
    def state(self) -> str:
        """In one word: what keeps it from being used, or `ready`."""
        if self.pause is not None:
            return "paused"
        return "unknown" if self.breaker is None else WORDS[self.breaker.state]

    @property
    def failing(self) -> bool:
        """Whether its breaker opened and no message has come through since."""
        return self.breaker is not None and self.breaker.state in (BreakerState.OPEN, BreakerState.HALF_OPEN)


def health(app: App) -> tuple[Health, ...]:
    """Every provider, in the order of failover. Raises `Unreachable` when the database does not answer."""
    with app.store.read() as connection:
        pauses = {one.name: one for one in provider_pauses.listing(connection)}
    breakers = Breakers(app)

    def of(channel: Channel, position: int, configured: Configured) -> Health:
        pause = pauses.get(configured.name)
        if pause is not None and pause.digest not in ("", configured.digest):
            pause = None  # its URL was changed since: void
        return Health(channel, position, configured, pause, _snapshot(breakers, configured.name))

    return tuple(
        of(channel, position, configured)
        for channel, providers in app.channels.by_channel.items()
        for position, configured in enumerate(providers, start=1)
    )


def _snapshot(breakers: Breakers, name: str) -> Snapshot | None:
    try:
        return breakers.snapshot(name)
    except Unreachable:
        return None
