"""Openings of one limit, shared by all workers through Redis: no span of the rate's length holds more than the rate.

An opening is a moment at which one message may begin. A Lua script hands openings out at least `spacing` apart. One may
be used from its moment on until `late` seconds after it; if it was missed it is forfeited, and never used in a bunch.

Why that is enough. Let the rate be N in a span W, and slack a small part of W; spacing is (W + slack) / N. What arrives
in a half-open span of W seconds stems from openings of a span of W + slack, if beginnings and arrivals together are
never more than `slack` apart from their openings. Such a span holds at most (W + slack) / spacing = N of them. A part
of the slack is spent here (`late`, and the round trip of the reservation), the rest is for the way to the provider. A
rate below one in its span is one in a longer span; one that is no whole number is rounded up for a single span, and
kept on average. A worker that is stopped and goes on finds its openings forfeited: at most the message that each of its
threads was just writing comes late.

Openings are reserved in slices, so that at high rates one call serves many messages, and shared by the threads of a
process, the earliest first. When Redis does not answer, each process keeps to an eighth of the rate by itself. (The
journal is in the same Redis, and without it nothing is sent: this only bridges moments.) A Redis that lost its memory
has forgotten what it had handed out: for some seconds there may be more then.

A limit of 16,000/s or more is kept in parts, each a limit by itself, and all of them together no more than the whole.
While most parts are idle, a process takes all openings of one for half a second, and leaves what it does not need. At
most half of the parts are given away like that, rounded up: the others' openings are there at once for whoever comes,
in slices, however many processes there are.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from math import ceil, floor
from typing import NamedTuple

from redis import Redis, RedisError

from notify.delivery.pacing_lua import RESERVE
from notify.rates import Rate
from notify.telemetry import emit

SLACK = 0.035  # of a rate's span: so much of the rate is given away
LARGEST_SLACK = 5.0  # seconds
LATE = 0.5  # of the slack: the rest is for the way to the provider
SLICE_SECONDS = 0.02
SPARE = 1.25  # a slice holds so much more than was used of late in its time
PATIENCE = 3.0  # a thread waits so long at most, in seconds, for an opening that is its next one anyway
LOCAL_SHARE = 8  # processes that a limit is divided among when Redis does not answer
COMPLAIN_SECONDS = 60.0
TRIP_GROWS = 0.001
SOON = 0.001
SLOW_SECONDS = 2.0  # a limit that made nobody wait for so long is none at present
WIDE = 100.0  # messages a second: an opening of such a limit is near, unless others crowd there
PART = 4000.0
"""Messages a second of a part, at least: more than one process makes (docs/performance.md, bulk).

One that makes more than its part asks for another as soon as what has come of it is used, as it would without parts.
"""
LEAST_PARTS, MOST_PARTS = 4, 16  # of four, half is a part for each of two processes
STRETCH_SECONDS, PLENTY_SECONDS = 0.5, 0.05  # of a part, for one process; what is left of it is more than enough


@dataclass(frozen=True, slots=True)
class Pace:
    """A rate as the script needs it. All in seconds."""

    spacing: float
    slack: float

    @classmethod
    def of(cls, rate: Rate, parts: int = 1) -> Pace:
        """The pace of each part that keeps to the rate in any span of its length, and reaches all but `SLACK` of it."""
        span, count = (rate.seconds, rate.count) if rate.count >= 1 else (rate.seconds / rate.count, 1.0)
        count = count if parts == 1 else floor(count / parts)
        slack = min(SLACK * span, LARGEST_SLACK)
        return cls((span + slack) / count, slack)

    @property
    def late(self) -> float:
        """How long after its moment an opening may still be used."""
        return LATE * self.slack

    @property
    def slice_seconds(self) -> float:
        """How far a process reserves at once, at most: what it may use late, if it must, and no more."""
        return min(SLICE_SECONDS, self.late)

    def patient(self, seconds: float) -> float:
        """How far ahead to reserve when `seconds` are wanted: as far as the next opening, unless that is very far."""
        return max(seconds, min(1.5 * self.spacing, PATIENCE))


class Opening(NamedTuple):
    """When a message may begin: from `at` until `until`, by this process's monotonic clock."""

    at: float
    until: float


MISSED = Opening(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks for openings, and how many seconds ahead: `share` when `member` took less than its fair share of late.

    Who is `patient` waits for an opening that is simply the next one, though it be some seconds away.
    """

    member: str
    reach: float
    share: float
    patient: bool = True


class _Slice:
    """Openings that were reserved at once; those that are missed are passed over without being looked at."""

    __slots__ = ("_first", "_left", "_spacing", "_usable")

    def __init__(self, first: float, spacing: float, count: int, usable: float) -> None:
        self._first = first
        self._spacing = spacing
        self._usable = usable
        self._left = count

    def take(self, now: float) -> Opening | None:
        """The first that was not missed; None when none is left."""
        self._pass_over_before(now - self._usable)
        if not self._left:
            return None
        at = self._first
        self._first += self._spacing
        self._left -= 1
        return Opening(at, at + self._usable)

    def several(self, now: float, most: int) -> tuple[int, float]:
        """See `Openings.several`. Of more than enough, it is those that last the longest."""
        self._pass_over_before(now - self._usable)
        if self._left * self._spacing > PLENTY_SECONDS:
            self._pass_over_before(now - most * self._spacing)
        at, soon = self._first, now + SOON
        count = min(most, self._left, int((soon - at) / self._spacing) + 1) if at <= soon else 0
        self._first += count * self._spacing
        self._left -= count
        return count, at + self._usable

    def ahead(self, now: float) -> bool:
        """Whether its next opening has not come yet."""
        return self._left > 0 and self._first > now + SOON

    def _pass_over_before(self, then: float) -> None:
        if (missed := then - self._first) > 0:
            over = min(self._left, ceil(missed / self._spacing))
            self._first += over * self._spacing
            self._left -= over


class Openings:
    """The openings of one limit that this process has reserved. Threads share it."""

    def __init__(self, redis: Redis, name: str, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.rate = rate
        self._parts = parts_of(rate)
        self._pace = Pace.of(rate, self._parts)
        self._stretch = 0 if self._parts == 1 else int(STRETCH_SECONDS / self._pace.spacing)
        self._wide = rate.per_second >= WIDE
        self._clock = clock
        self._reserve = redis.register_script(RESERVE)
        self._keys = [f"notify:limit:{name}:free", f"notify:limit:{name}:members", promised(name)]
        self.batches: Counter[str] = Counter()  # of this process that are under it now, by member
        self.slow_at = 0.0  # when it last made somebody wait
        self._lock = threading.Lock()
        self._returned: list[Opening] = []  # a heap
        self._slice = _Slice(0.0, self._pace.spacing, 0, 0.0)
        self._used = 0  # since the last slice was reserved
        self._reserved_at = 0.0
        self._trip = 0.0  # seconds to Redis and back, at best
        self._out_of_reach: dict[Asker, float] = {}  # until when it is of no use to ask again
        self._own = 0.0  # without Redis: when the next opening of our own is
        self._complain_at = 0.0

    def take(self, asker: Asker) -> Opening | float:
        """The earliest opening; or how many seconds it is too far away to be had."""
        with self._lock:
            now = self._clock()
            found = self._earliest(now)
            if found is None:
                if missing := self._more(asker, now):
                    self.slow_at = now
                    return missing
                now = self._clock()
                found = self._earliest(now) or MISSED  # when Redis took longer to answer than openings last
            self._used += 1
            if found.at > now + SOON:
                self.slow_at = now
            return found

    def several(self, asker: Asker, most: int) -> tuple[int, float]:
        """How many openings of those that have come the caller has now, and until when all of them may be used.

        None when none is to be had at once. They are not given back: this is for a limit that flows.
        """
        with self._lock:
            now = self._clock()
            found = self._slice.several(now, most)
            if not found[0] and not (missing := self._more(asker, now)):
                now = self._clock()
                found = self._slice.several(now, most)
                missing = self._slice.ahead(now)
            self._used += found[0]
            if not found[0] and missing:
                self.slow_at = now
            return found

    def flows(self, now: float) -> bool:
        """Whether openings are to be had at any time, as far as this process knows."""
        return self._wide and self.slow_at + SLOW_SECONDS < now

    def join(self, member: str, batches: int) -> None:
        """So many batches more (or fewer) of this member are under it."""
        with self._lock:
            self.batches[member] += batches

    def give_back(self, given: Iterable[Opening]) -> None:
        """These are not needed: whoever asks next may have them."""
        with self._lock:
            for opening in given:
                heappush(self._returned, opening)

    def _earliest(self, now: float) -> Opening | None:
        """The first that was not missed: of the slice, unless one came back."""
        while self._returned:
            opening = heappop(self._returned)
            if opening.until >= now:
                return opening
        return self._slice.take(now)

    def _more(self, asker: Asker, began: float) -> float:
        """Reserve a slice; 0.0, or the seconds until it is worth asking again."""
        pace = self._pace
        if (missing := self._out_of_reach.get(asker, 0.0) - began) > 0:
            return missing
        want = self._wanted(began)
        reach, share = (pace.patient(each) if asker.patient else each for each in (asker.reach, asker.share))
        flows = self.flows(began)
        back = 0.0 if flows else pace.late / 2 - self._trip  # nobody misses what nobody waited for
        asked: list[str | float] = [pace.spacing, back, want, reach, share, asker.member, self._parts]
        asked.append(self._stretch if flows else 0)
        try:
            count, text = self._reserve(self._keys, asked)
        except (RedisError, OSError) as error:
            return self._alone(began, reach, error)
        trip, ahead = self._clock() - began, float(text)
        self._trip = min(trip, 1.1 * self._trip + TRIP_GROWS)
        if not count:
            self._out_of_reach = {who: until for who, until in self._out_of_reach.items() if until > began}
            self._out_of_reach[asker] = began + ahead
            return max(ahead, SOON)
        usable = pace.late - trip  # the first may be later than we think, by as much as the trip took
        self._slice = _Slice(began + ahead, pace.spacing, count, usable)
        self._used, self._reserved_at = 0, began
        return 0.0

    def _wanted(self, now: float) -> int:
        """How many openings to reserve: what was used of late in a slice's time, and some to spare."""
        span = self._pace.slice_seconds
        recent = self._used * span / max(now - self._reserved_at, span / 4)
        return max(1, min(1 + int(SPARE * recent), int(span / self._pace.spacing)))

    def _alone(self, now: float, reach: float, error: Exception) -> float:
        """Without Redis: an opening of this process's own part of the rate."""
        if now >= self._complain_at:
            self._complain_at = now + COMPLAIN_SECONDS
            emit("limits.local", limit=self.name, rate=f"{self.rate} / {LOCAL_SHARE}", error=str(error))
        at = max(self._own, now)
        if at - now > reach:
            return at - now - reach
        self._own = at + LOCAL_SHARE * self._pace.spacing
        self._slice = _Slice(at, self._pace.spacing, 1, self._pace.late)
        return 0.0


def parts_of(rate: Rate) -> int:
    """In how many parts a limit is kept."""
    parts = min(MOST_PARTS, int(rate.per_second / PART))
    return parts if parts >= LEAST_PARTS else 1


def promised(name: str) -> str:
    """The Redis key of what a limit promised to whom."""
    return f"notify:limit:{name}:promised"
