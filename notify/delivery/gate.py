"""What stands before each message of a batch: it begins when every limit it is under has an opening for it, or waits.

A thread only waits for an opening that is near. When a provider's is not, it counts as shut for this batch.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from math import inf

from notify.delivery.limits import STAY_SECONDS, Later, Limits, member
from notify.delivery.pacing import MISSED, SLOW_SECONDS, Asker, Opening, Openings
from notify.model import Batch, Lane
from notify.store.work import Work

AHEAD = {Lane.CRITICAL: 2.0, Lane.NORMAL: 0.5, Lane.BULK: 0.2}
"""Seconds of openings that a lane may reserve ahead: the more urgent pass the others."""
SHARE_SECONDS = 1.5  # so far ahead may reserve who took less than a fair share of late
JOIN_SECONDS = 0.03  # a batch that comes to a limit is only of use when those under way leave openings over
JOIN_AGAIN_SECONDS = 1.0
AT_ONCE = 0.02  # a domain's opening that is farther away keeps others of the batch waiting
TURN_SECONDS = 10.0  # a batch that mostly waits leaves its thread to others after so long
GIVE_UP_SECONDS = 6.0  # a message that may not begin by then is handed back
AT_A_TIME = 8  # openings of a wide limit, at most, that a batch takes at once
EARLY = 0.001  # sleeping costs as much


class _Pass:
    """The limits of one receiving domain, and how many messages may begin under all of them `until` when."""

    __slots__ = ("_size", "left", "limits", "missed", "until")

    def __init__(self, limits: tuple[Openings, ...]) -> None:
        self.limits = limits
        self.missed = [(limit, MISSED) for limit in limits]
        self.left, self.until = (0.0, 0.0) if limits else (inf, inf)
        self._size = 1  # doubles while all are used in time

    def allows(self, now: float) -> bool:
        """Whether another message may begin."""
        return self.left > 0 and now <= self.until

    def renew(self, asker: Asker, now: float) -> bool:
        """Get openings for a few messages at once; False when there is none for the next."""
        self._size = 1 if self.left else min(2 * self._size, AT_A_TIME)
        found = [limit.several(asker, self._size) for limit in self.limits]
        self.left = min([count for count, _ in found])
        self.until = min([until for _, until in found])
        return self.allows(now)


class Gate:
    """What the messages of one batch wait for at one provider; for the thread that has the batch.

    A message claims an opening of each of its limits before it is rendered, and waits for the openings when it begins.
    While its limits are wide and nobody waits for them, it claims them only then.
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
        self._claims = 0  # how many those are
        self._holds = False  # whether the message that was admitted last has claims
        self._spare = False  # whether the next message has its claims but for its domain's
        self._slept = 0.0  # seconds
        self._joined = False  # the batches that are under its limits
        self._begun: list[tuple[Openings, Opening]] = []  # what the message that is just beginning has
        self._at, self._until = 0.0, inf  # between which it may
        self._general = _Pass(whole)
        self._known: dict[str, _Pass] = {}

    def claim(self, address: str | None, *, patient: bool = True, joining: bool = False) -> Later | None:
        """Claim what a message to this address needs; None when it has it, else nothing is claimed.

        Without patience a domain's opening has to be near, so that others of the batch need not wait for it.
        """
        if self.free:
            return None
        limits = self._pass(address).limits
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
            self._claims += 1
        self._spare, self._holds = False, True
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
        tired = began + TURN_SECONDS
        for work in works:
            now = self._clock()
            if now > tired and self._has_mostly_waited(now - began):
                return
            if self._flows(self._pass(work.address), now):
                self._spare = self._holds = False
                yield work
            elif later := self.claim(work.address, patient=False):
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

    @staticmethod
    def _flows(found: _Pass, now: float) -> bool:
        """Whether openings of all its limits are to be had at any time."""
        return found.allows(now) or all(limit.flows(now) for limit in found.limits)

    def _has_mostly_waited(self, passed: float) -> bool:
        """Whether the batch has only kept its thread, which another may need."""
        self.spent = self._slept > passed / 2
        return self.spent

    def forgo(self, address: str | None) -> None:
        """The message that was admitted last does not begin after all."""
        if self._holds:
            for limit in self._pass(address).limits:
                self._forgo(limit)

    def begin(self, address: str | None, stopping: threading.Event) -> bool:
        """Wait until a message that has its claims may begin; False when it may not, for the process stops."""
        if self.free:
            return True
        found, now = self._pass(address), self._clock()
        if not self._claims and (found.allows(now) or (self._flows(found, now) and found.renew(self._asker, now))):
            found.left -= 1
            self._begun, self._at, self._until = found.missed, 0.0, found.until
            return True
        self._begun = [(limit, self._claim_of(limit) or self._take(limit)) for limit in found.limits]
        self._note()
        return self.go_on(stopping)

    def go_on(self, stopping: threading.Event) -> bool:
        """The same once more, right before the body: the openings may have been missed meanwhile."""
        if self.free:
            return True
        now = self._clock()
        return (self._at <= now + EARLY and now <= self._until) or self._wait(now, stopping)

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
            self._claims -= 1
            limit.give_back([claimed.pop()])

    def _claim_of(self, limit: Openings) -> Opening | None:
        if not (claimed := self._claimed.get(limit)):
            return None
        self._claims -= 1
        return claimed.popleft()

    def _wait(self, began: float, stopping: threading.Event) -> bool:
        now = began
        while now < began + GIVE_UP_SECONDS:
            if self._until < now:
                self._begun = [
                    (limit, opening if opening.until >= now else self._take(limit)) for limit, opening in self._begun
                ]
                self._note()
            if self._at <= now + EARLY and now <= self._until:
                return True
            if self._at > began + GIVE_UP_SECONDS or stopping.wait(max(0.0, self._at - now)):
                break
            then, now = now, self._clock()
            self._slept += now - then
        return False

    def _take(self, limit: Openings) -> Opening:
        """Its next opening; or when it may have one, which cannot be used then."""
        found = limit.take(self._asker)
        return found if isinstance(found, Opening) else Opening(self._clock() + found, 0.0)

    def _note(self) -> None:
        """From when until when the message that is just beginning may."""
        self._at = max([opening.at for _, opening in self._begun], default=0.0)
        self._until = min([opening.until for _, opening in self._begun], default=inf)

    def _pass(self, address: str | None) -> _Pass:
        if not self._by_domain or address is None:
            return self._general
        domain = address[address.rfind("@") + 1 :].lower()
        found = self._known.get(domain)
        if found is None:
            limit = self._limits.of_domain(domain)
            found = self._known[domain] = self._general if limit is None else _Pass((limit, *self._whole))
        return found
