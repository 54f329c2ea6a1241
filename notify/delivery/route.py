"""Which provider carries a message: its order of choices, the same on every try, less those that take nothing now."""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from uuid import UUID

from notify.app import App
from notify.channels import Configured
from notify.delivery.breaker import CLOSED, Breakers, Open, Probe, Standing
from notify.delivery.limits import Limits
from notify.delivery.pauses import PAUSED, Pauses, pause_misconfigured
from notify.errors import DeliveryError, Misconfigured, Throttled, Transient
from notify.model import Batch, Channel
from notify.policy import MISCONFIGURED_WAIT, UNREACHED_WAIT
from notify.store.work import Work

LONGEST_SPREAD = timedelta(seconds=15)  # what waited together comes back over so long a time

Story = dict[str, DeliveryError]
"""Whom a message was handed to in this round, in order, and why they did not take it."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Why something waits untried, and until when."""

    until: datetime
    reason: str
    rule: str


def passes_on(error: DeliveryError) -> bool:
    """Whether another provider may carry it at once: this one did not accept it, and that is its own trouble."""
    if isinstance(error, Transient):
        return error.scope == "provider"
    return isinstance(error, Throttled | Misconfigured)


class Choices:
    """In which order each message tries a channel's providers."""

    def __init__(self, providers: Sequence[Configured]) -> None:
        self.providers = tuple(providers)
        parts = _parts(self.providers)
        chosen = [one for one in self.providers if parts.get(one.name)]
        self._orders = [(first, *(one for one in self.providers if one is not first)) for first in chosen]
        self._bounds = list(accumulate(parts[one.name] for one in chosen))[:-1]

    @property
    def alike(self) -> bool:
        """Whether all messages have the same order."""
        return not self._bounds

    def order(self, message_id: UUID) -> tuple[Configured, ...]:
        """The first choice of this message, then all others as they are listed."""
        if not self._bounds:
            return self._orders[0] if self._orders else ()
        return self._orders[bisect_right(self._bounds, zlib.crc32(message_id.bytes) / 2**32)]


def _parts(providers: Sequence[Configured]) -> dict[str, float]:
    """For how many of all messages each is the first choice: its share, or its part by weight of what is left."""
    parts = {one.name: one.share for one in providers if one.share is not None}
    rest = max(0.0, 1 - sum(parts.values()))
    others = [one for one in providers if one.share is None]
    if any(one.weight is not None for one in others):
        total = sum(one.weight or 1 for one in others)
        parts |= {one.name: rest * (one.weight or 1) / total for one in others}
    elif first := next(iter(others or providers), None):
        parts[first.name] = parts.get(first.name, 0.0) + rest
    return parts


class Routes:
    """What one process knows of its providers. Its threads share it."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.breakers = Breakers(app)
        self.limits = Limits(app)
        self._pauses = Pauses(app)
        self._names = tuple(app.channels.every())
        self._choices = {channel: Choices(found) for channel, found in app.channels.by_channel.items()}

    def look(self) -> Look:
        """How all providers stand: one round trip to Redis, and the pauses of the last second."""
        standings = self.breakers.standing(self._names)
        for name, pause in self._pauses.in_force().items():
            standings[name] = Open(PAUSED, f"paused ({pause.reason})")
        return Look(self, standings)

    def choices(self, channel: Channel) -> Choices:
        """The order of this channel's providers."""
        return self._choices.get(channel) or Choices(())

    def trouble(self, provider: Configured, error: DeliveryError) -> Open:
        """It takes nothing more for now: tell all workers as far as it concerns them. Raises `Unreachable`."""
        now = self.app.clock.now()
        if isinstance(error, Misconfigured):
            pause_misconfigured(self.app, provider, error)
            self._pauses.forget()
            return Open(PAUSED, f"paused ({error.reason})")
        if isinstance(error, Throttled):
            return self.breakers.hold(provider.name, error.retry_after, error.reason)
        return Open(error.reason, f"takes nothing ({error.reason})", now + UNREACHED_WAIT)


class Look:
    """How the providers stood when one batch was claimed, and what was learnt with it since."""

    def __init__(self, routes: Routes, standings: dict[str, Standing]) -> None:
        self._routes = routes
        self._standings = standings
        self._granted: set[str] = set()

    def wait(self, batch: Batch, draw: float) -> Wait | None:
        """Why the batch had better wait as a whole: no provider takes its messages.

        When one may be probed, and nobody else does, this batch does not wait: it probes.
        """
        names = [one.name for one in self._routes.choices(batch.channel).providers]
        if any(self.standing(name) is CLOSED for name in names):
            return None
        if any(self._granted_now(name) for name in names):
            return None
        if any(self.standing(name) is CLOSED for name in names):  # who had the probe has just got through
            return None
        return self.until(batch.channel, draw)

    def until(self, channel: Channel, draw: float) -> Wait:
        """What to wait for when no provider is left. What waits together comes back over some seconds, by `draw`."""
        now = self._routes.app.clock.now()
        shut = [(one.name, self.standing(one.name)) for one in self._routes.choices(channel).providers]
        reasons = [(name, found) for name, found in shut if isinstance(found, Open)]
        ends = [found.until for _, found in reasons if found.until is not None]
        span = max(min(ends) - now if ends else MISCONFIGURED_WAIT, timedelta(seconds=1))
        told = ", ".join(f"{name} {found.why}" for name, found in reasons) or f"none is configured for {channel}"
        return Wait(
            now + span + min(max(span / 2, timedelta(seconds=1)), LONGEST_SPREAD) * draw,
            reasons[0][1].reason if reasons else "no_provider",
            f"no provider takes messages at present: {told}: not tried, costs no attempt",
        )

    def standing(self, name: str) -> Standing:
        """How this provider stands, as far as this batch knows."""
        return self._standings.get(name, CLOSED)

    def set(self, name: str, standing: Standing) -> None:
        """Something was learnt of this provider."""
        self._standings[name] = standing

    def shut(self, name: str) -> bool:
        """Whether this provider takes nothing."""
        return isinstance(self.standing(name), Open)

    def granted(self, name: str) -> bool:
        """Whether this batch may probe the provider, and does so now; else it counts as shut."""
        if name not in self._granted and not self._take(name):
            return False
        self._granted.discard(name)
        return True

    def trouble(self, provider: Configured, error: DeliveryError) -> Open:
        """See `Routes`."""
        return self._routes.trouble(provider, error)

    def report(self, name: str, *, good: int, bad: int, out_of_reach: bool, reason: str, probe: bool) -> Standing:
        """See `Breakers`: how messages of this batch fared with a provider; returns how it stands now."""
        standing = self._routes.breakers.report(
            name, good=good, bad=bad, out_of_reach=out_of_reach, reason=reason, probe=probe
        )
        if isinstance(standing, Open) or (probe and not self.shut(name)):
            self._standings[name] = standing
        return standing

    def let_go(self) -> None:
        """Give back the probes that this batch had no use for."""
        for name in self._granted:
            self._routes.breakers.report(name, probe=True)
        self._granted.clear()

    def route(self, channel: Channel) -> Route:
        """The way of this channel's messages."""
        return Route(self._routes.choices(channel), self)

    def _granted_now(self, name: str) -> bool:
        if not isinstance(self.standing(name), Probe) or not self._take(name):
            return False
        self._granted.add(name)
        return True

    def _take(self, name: str) -> bool:
        if self._routes.breakers.take_probe(name):
            return True
        found = self._routes.breakers.standing([name])[name]
        soon = self._routes.app.clock.now() + timedelta(seconds=1)
        self.set(name, Open("probed", "is being probed", soon) if isinstance(found, Probe) else found)
        return False


class Route:
    """Where the messages of one batch go next."""

    def __init__(self, choices: Choices, look: Look) -> None:
        self._choices = choices
        self._look = look

    def plain(self, provider: Configured) -> bool:
        """Whether this provider is every message's first choice."""
        return self._choices.alike and self._choices.providers[0] is provider

    def next_for(self, work: Work, story: Iterable[str] = ()) -> Configured | None:
        """The first choice of this message that takes messages and has not had it in this round."""
        for one in self._choices.order(work.id):
            if one.name not in story and not self._look.shut(one.name):
                return one
        return None

    def first(
        self, waiting: Sequence[Work], stories: Mapping[int, Story]
    ) -> tuple[Configured | None, list[Work], list[Work]]:
        """Of these messages those that one provider gets now, and the others; no provider: none is left for any.

        `stories` are known by the id() of their messages.
        """
        if self._choices.alike and not stories:
            return self.next_for(waiting[0]), list(waiting), []
        groups: dict[str | None, list[Work]] = {}
        to: dict[str | None, Configured | None] = {}
        for work in waiting:
            found = self.next_for(work, stories.get(id(work), ()))
            name = found.name if found else None
            to[name] = found
            groups.setdefault(name, []).append(work)
        chosen = next((one.name for one in self._choices.providers if one.name in groups), None)
        return to.get(chosen), groups.get(chosen, []), [w for name, g in groups.items() if name != chosen for w in g]

    def passed_over(self, work: Work, provider: Configured, story: Story | None) -> str | None:
        """Which providers this message would have gone to before, and why it did not; None when there is none."""
        order = self._choices.order(work.id)
        if story is None and order[0] is provider:
            return None
        told = [f"{name}: {error.reason}" for name, error in (story or {}).items()]
        for one in order[: order.index(provider)]:
            standing = self._look.standing(one.name)
            if isinstance(standing, Open) and one.name not in (story or {}):
                told.append(f"{one.name}: {standing.why}")
        return "; ".join(told) or None
