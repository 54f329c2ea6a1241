"""What stands before each message of a batch: it begins when every limit it is under has an opening for it, or waits.

A thread only waits for an opening that is near. When a provider's is not, it counts as shut for this batch.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from math import inf

from notify.channels import Configured
from notify.delivery.breaker import Open, Probe
from notify.delivery.limits import STAY_SECONDS, Later, Limits, member
from notify.delivery.pacing import Asker, Opening, Openings
from notify.delivery.route import Look, Wait
from notify.model import Batch, Lane
from notify.store.batches import RATE_LIMITED as REASON
from notify.store.work import Work

AHEAD = {Lane.CRITICAL: 2.0, Lane.NORMAL: 0.5, Lane.BULK: 0.2}
"""Seconds of openings that a lane may reserve ahead: the more urgent pass the others."""
SHARE_SECONDS = 1.5  # so far ahead may reserve who took less than a fair share of late
JOIN_SECONDS = 0.03  # a batch that comes to a limit is only of use when those under way leave openings over
JOIN_AGAIN_SECONDS = 1.0
SLOW_SECONDS = 2.0  # a limit that made nobody wait for so long is none at present
AT_ONCE = 0.02  # a domain's opening that is farther away keeps others of the batch waiting
TURN_SECONDS = 10.0  # a batch that mostly waits leaves its thread to others after so long
GIVE_UP_SECONDS = 6.0  # a message that may not begin by then is handed back
EARLY = 0.001  # sleeping costs as much
MISSED = Opening(0.0, 0.0)


class Gate:
    """What the messages of one batch wait for at one provider; for the thread that has the batch.

    A message claims an opening of each of its limits before it is rendered, and waits for the openings when it begins.
    """

    def __init__(self, limits: Limits, batch: Batch, whole: tuple[Openings, ...], *, by_domain: bool) -> None:
        self.free = not whole and not by_domain
        self.shut: Later | None = None  # what holds back all that is left
        self.spent = False  # whether the rest had better go to the end of its queue
        self.held: dict[Openings, tuple[Later, list[Work]]] = {}  # back by the limits of their domains
        self._limits = limits
        self._clock = limits.clock
        self._whole = whole
        self._by_domain = by_domain
        share = max(SHARE_SECONDS, AHEAD[batch.lane])
        join = share if batch.lane is Lane.CRITICAL else JOIN_SECONDS
        self._asker = Asker(member(batch), AHEAD[batch.lane], share)
        self._joining = Asker(member(batch), join, share)
        self._at_once = Asker(member(batch), AT_ONCE, AT_ONCE, patient=False)
        self._claimed: dict[Openings, deque[Opening]] = defaultdict(deque)
        self._spare = False  # whether the next message has its claims but for its domain's
        self._slept = 0.0  # seconds
        self._joined = False  # the batches that are under its limits
        self._begun: list[tuple[Openings, Opening]] = []  # what the message that is just beginning has
        self._known: dict[str, tuple[Openings, ...]] = {}

    def claim(self, address: str | None, *, patient: bool = True, joining: bool = False) -> Later | None:
        """Claim what a message to this address needs; None when it has it, else nothing is claimed.

        Without patience a domain's opening has to be near, so that others of the batch need not wait for it.
        """
        if self.free:
            return None
        limits = self._of(address)
        if self._spare:
            limits = limits[: len(limits) - len(self._whole)]
        for number, limit in enumerate(limits):
            near = self._joining if joining else self._asker
            opening = limit.take(near if patient or limit in self._whole else self._at_once)
            if not isinstance(opening, Opening):
                for claimed in limits[:number]:
                    self._forgo(claimed)
                return Later(limit, opening)
            self._claimed[limit].append(opening)
        self._spare = False
        return None

    def reserve(self) -> Later | None:
        """Claim what the first message needs, whoever it is to, apart from its domain's limit.

        Later, too, when one limit slows down half of this process's threads with batches of the same tenant and lane.
        """
        if (crowded := self._crowded) is not None:
            return Later(crowded, JOIN_AGAIN_SECONDS)
        later = self.claim(None, joining=True)
        self._spare = later is None and not self.free
        if self._spare:
            self._joined = True
            for limit in self._whole:
                limit.join(self._asker.member, 1)
        return later

    def admitted(self, works: Iterable[Work]) -> Iterator[Work]:
        """Those that have what they need, in an order in which none waits for another's domain.

        The others are `held`; or it ends, `shut` or `spent`.
        """
        if self.free:
            yield from works
            return
        waiting: list[Work] = []
        began = self._clock()
        for work in works:
            if self._had_its_turn(began):
                return
            if later := self.claim(work.address, patient=False):
                if later.limit in self._whole:
                    self.shut = later
                    return
                waiting.append(work)
            else:
                yield work
        until = self._clock() + STAY_SECONDS
        for work in waiting:
            later = self.claim(work.address, patient=self._clock() < until)
            if later is None:
                yield work
            elif later.limit in self._whole:
                self.shut = later
                return
            else:
                self.held.setdefault(later.limit, (later, []))[1].append(work)

    def _had_its_turn(self, began: float) -> bool:
        """Whether the batch has mostly waited, and long enough: another may need the thread."""
        passed = self._clock() - began
        self.spent = passed > TURN_SECONDS and self._slept > passed / 2
        return self.spent

    def forgo(self, address: str | None) -> None:
        """The message that claimed last does not begin after all."""
        if not self.free:
            for limit in self._of(address):
                self._forgo(limit)

    def begin(self, address: str | None, stopping: threading.Event) -> bool:
        """Wait until a message that has its claims may begin; False when it may not, for the process stops."""
        if self.free:
            return True
        self._begun = [
            (limit, claimed.popleft() if (claimed := self._claimed[limit]) else MISSED) for limit in self._of(address)
        ]
        return self.go_on(stopping)

    def go_on(self, stopping: threading.Event) -> bool:
        """The same once more, right before the body: the openings may have been missed meanwhile."""
        if self.free:
            return True
        now, until = self._clock(), 0.0
        for _, opening in self._begun:
            if opening.until < now or opening.at > until:
                until = opening.at if opening.until >= now else inf
        return until <= now + EARLY or self._wait(now, stopping)

    def close(self) -> None:
        """Give back what is still claimed, and wait no more."""
        for limit, openings in self._claimed.items():
            if openings:
                limit.give_back(openings)
        self._claimed.clear()
        if self._joined:
            self._joined = False
            for limit in self._whole:
                limit.join(self._asker.member, -1)

    @property
    def _crowded(self) -> Openings | None:
        most, since = max(1, self._limits.app.settings.worker_concurrency // 2), self._clock() - SLOW_SECONDS
        busy = (limit for limit in self._whole if limit.slow_at > since)
        return next((limit for limit in busy if limit.batches[self._asker.member] >= most), None)

    def _forgo(self, limit: Openings) -> None:
        if claimed := self._claimed[limit]:
            limit.give_back([claimed.pop()])

    def _wait(self, began: float, stopping: threading.Event) -> bool:
        now = began
        while now < began + GIVE_UP_SECONDS:
            until, slowest = now, None
            for number, (limit, opening) in enumerate(self._begun):
                if opening.until < now:
                    found = limit.take(self._asker)
                    opening = found if isinstance(found, Opening) else Opening(now + found, 0.0)  # noqa: PLW2901
                    self._begun[number] = limit, opening
                if opening.at > until:
                    until, slowest = opening.at, limit
            if until <= now + EARLY:
                return True
            if slowest is not None:
                slowest.slow_at = now
            if stopping.wait(until - now):
                break
            then, now = now, self._clock()
            self._slept += now - then
        return False

    def _of(self, address: str | None) -> tuple[Openings, ...]:
        if not self._by_domain or address is None:
            return self._whole
        domain = address.rpartition("@")[2].lower()
        found = self._known.get(domain)
        if found is None:
            limit = self._limits.of_domain(domain)
            found = self._known[domain] = self._whole if limit is None else (limit, *self._whole)
        return found


class Gates:
    """The gates of one batch to all its providers, and what to wait for when they are shut."""

    def __init__(self, limits: Limits, look: Look) -> None:
        self._limits = limits
        self.look = look
        self._gates: dict[str, Gate] = {}
        self._later: list[Later] = []

    def wait(self, batch: Batch, draw: float) -> Wait | None:
        """Why the batch had better wait as a whole: no provider takes its messages, or has an opening for the first."""
        if wait := self.look.wait(batch, draw):
            return wait
        for provider in self._limits.app.channels.providers(batch.channel):
            standing = self.look.standing(provider.name)
            if isinstance(standing, Open):
                continue
            if isinstance(standing, Probe) or (later := self.to(batch, provider).reserve()) is None:
                return None
            self.shut(provider, later)
        return self.until(batch, batch.size, draw)

    def to(self, batch: Batch, provider: Configured, *, dry: bool = False) -> Gate:
        """The gate to this provider. Nothing holds up a dry run."""
        if dry:
            return Gate(self._limits, batch, (), by_domain=False)
        gate = self._gates.get(provider.name)
        if gate is None:
            each = provider.rate or self._limits.quotas.rate(provider.name)
            whole = self._limits.whole(batch, provider.name, each)
            gate = self._gates[provider.name] = Gate(self._limits, batch, whole, by_domain=self._limits.by_domain)
        return gate

    def shut(self, provider: Configured, later: Later) -> None:
        """For this batch the provider takes no more now: a limit holds it back."""
        self._later.append(later)
        until = self._limits.app.clock.now() + timedelta(seconds=later.seconds)
        self.look.set(provider.name, Open(REASON, f"held back ({later.limit.name} {later.limit.rate})", until))

    def until(self, batch: Batch, messages: int, draw: float) -> Wait:
        """What so many messages wait for when no provider is left: for the nearest limit in a queue."""
        if not self._later:
            return self.look.until(batch.channel, draw)
        later = min(self._later, key=lambda one: one.seconds)
        return Wait(self._limits.promise(later, batch, messages), REASON, later.rule)

    def held_back(self, batch: Batch, gate: Gate) -> list[tuple[list[Work], Wait]]:
        """What the limits of their domains hold back at this gate, in portions, and until when."""
        return [
            (part.works, Wait(part.until, REASON, part.rule))
            for later, works in gate.held.values()
            for part in self._limits.portions(later, batch, works)
        ]

    def recipients(self, works: Sequence[Work]) -> list[tuple[list[Work], Wait]]:
        """Those whose recipients had their share of the kind, and until when."""
        return [(one.works, Wait(one.until, REASON, one.rule)) for one in self._limits.recipients(works)]

    def close(self) -> None:
        """Give back what was claimed and not used."""
        for gate in self._gates.values():
            gate.close()
