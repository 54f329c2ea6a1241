"""What all workers know of a provider, in Redis: whether it takes messages, and who may try it again.

A breaker opens when half of twenty messages or more failed by the provider's fault, or at once when it is out of reach.
It stays open for `breaker_seconds`, longer each time up to ten times that; then one probe among all workers decides.
A hold is a wait that the provider asked for. When Redis does not answer, every provider counts as well: without Redis
there is no journal, and nothing is sent anyway.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from redis import RedisError

from notify.app import App
from notify.delivery import breaker_lua as lua
from notify.errors import Unreachable
from notify.telemetry import emit

KEPT_SECONDS = 7 * 24 * 3600
PROBE_SECONDS = 60.0  # a prober that died blocks nobody for longer
LONGEST_HOLD = 15 * 60.0
UNNAMED_HOLD = 10.0  # seconds, where the provider only said "slow down"
NOTE_SECONDS = 0.25  # so long good news may wait to be told


@dataclass(frozen=True, slots=True)
class Closed:
    """It takes messages."""


@dataclass(frozen=True, slots=True)
class Open:
    """It takes none: `reason` for machines, `why` for people; `until` is None when nobody knows."""

    reason: str
    why: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """One message may try whether it takes messages again, for whoever takes the probe."""


Standing = Closed | Open | Probe
CLOSED, PROBE = Closed(), Probe()


class BreakerState(StrEnum):
    """As operators read it."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"  # it may be probed
    HELD = "held"  # it asked for a wait


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A breaker for people. `failures` is how often it opened in a row; `last_reason` that of the last trouble."""

    state: BreakerState
    until: datetime | None = None
    failures: int = 0
    last_reason: str | None = None
    last_at: datetime | None = None


class Breakers:
    """The breakers of all providers, by name. One for each process: its threads share it."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._look = app.redis.register_script(lua.LOOK)
        self._report = app.redis.register_script(lua.REPORT)
        self._hold = app.redis.register_script(lua.HOLD)
        self._take = app.redis.register_script(lua.TAKE)
        self._lock = threading.Lock()
        self._good: Counter[str] = Counter()  # not told yet
        self._told: dict[str, float] = {}

    def standing(self, names: Sequence[str]) -> dict[str, Standing]:
        """How each of these stands, in one round trip."""
        if not names:
            return {}
        found = self._ask(
            self._look, [_key(name) for name in names], [self._now()], default=[b"closed", 0, b""] * len(names)
        )
        return {name: _standing(*found[3 * place : 3 * place + 3]) for place, name in enumerate(names)}

    def take_probe(self, name: str) -> bool:
        """Whether the caller may probe this provider, as the only one; then it must `report()` with `probe=True`."""
        return bool(self._ask(self._take, [_key(name)], [self._now(), _ms(PROBE_SECONDS)], default=0))

    def report(
        self,
        name: str,
        *,
        good: int = 0,
        bad: int = 0,
        out_of_reach: bool = False,
        reason: str = "",
        probe: bool = False,
    ) -> Standing:
        """So many messages were answered, and so many failed by its fault; returns how it stands now.

        Good news alone waits for some more, and is told together. A probe that reports nothing is given back.
        """
        good, wait = self._gathered(name, good, hurry=bool(bad or out_of_reach or probe))
        if wait:
            return CLOSED
        base = _ms(self._app.settings.breaker_seconds)
        told: list[int | str] = [
            *(self._now(), good, bad, int(out_of_reach), int(probe)),
            *(reason, base, KEPT_SECONDS),
        ]
        change, kind, until, why = self._ask(self._report, [_key(name)], told, default=[b"", b"closed", 0, b""])
        standing = _standing(kind, until, why)
        if change == b"opened" and isinstance(standing, Open):
            emit("breaker.opened", provider=name, reason=standing.reason, until=standing.until)
        elif change == b"closed":
            emit("breaker.closed", provider=name)
        return standing

    def hold(self, name: str, seconds: float | None, reason: str) -> Open:
        """The provider asked for a wait: nobody gives it anything before it is over."""
        span = min(max(seconds or UNNAMED_HOLD, 1.0), LONGEST_HOLD)
        now = self._now()
        fresh, until = self._ask(
            self._hold, [_key(name)], [now, now + _ms(span), reason, KEPT_SECONDS], default=[1, now + _ms(span)]
        )
        standing = Open(reason, f"asked for a wait ({reason})", _moment(until))
        if fresh:
            emit("provider.throttled", provider=name, reason=reason, until=standing.until)
        return standing

    def snapshot(self, name: str) -> Snapshot:
        """For people. Raises `Unreachable`."""
        try:
            found: dict[bytes, bytes] = self._app.redis.hgetall(_key(name))  # type: ignore[assignment]
        except RedisError as error:
            raise Unreachable(
                f"Redis, which keeps the breakers, does not answer: {error}\n"
                "Next: check that it runs and that NOTIFY_REDIS_URL is right (notify config)."
            ) from error
        now = self._now()
        held, shut, failures = (int(float(found.get(field, 0))) for field in (b"held", b"shut", b"failures"))
        state = BreakerState.HALF_OPEN if failures else BreakerState.CLOSED
        until = 0
        if failures and shut > now:
            state, until = BreakerState.OPEN, shut
        elif held > now:
            state, until = BreakerState.HELD, held
        at = int(found.get(b"at", 0))
        return Snapshot(
            state,
            _moment(until) if until else None,
            failures,
            found[b"reason"].decode() if b"reason" in found else None,
            _moment(at) if at else None,
        )

    def _gathered(self, name: str, good: int, *, hurry: bool) -> tuple[int, bool]:
        """All the good news that was not told yet, or the word to wait with it."""
        with self._lock:
            self._good[name] += good
            now = time.monotonic()
            if not hurry and (now - self._told.get(name, 0.0) < NOTE_SECONDS or not self._good[name]):
                return 0, True
            self._told[name] = now
            return self._good.pop(name), False

    def _now(self) -> int:
        return _ms(self._app.clock.now().timestamp())

    def _ask(self, script: Any, keys: list[str], arguments: list[int | str], *, default: Any) -> Any:
        try:
            return script(keys=keys, args=arguments)
        except RedisError:  # the journal says so, and nothing is sent
            return default


def _key(name: str) -> str:
    return f"notify:breaker:{name}"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(int(ms) / 1000, UTC)


def _standing(kind: bytes, until: int, reason: bytes) -> Standing:
    if kind == b"closed":
        return CLOSED
    if kind == b"probe":
        return PROBE
    word = reason.decode() or "unknown"
    said = {
        b"open": f"breaker open ({word})",
        b"probing": f"is being probed ({word})",
        b"held": f"asked for a wait ({word})",
    }
    return Open(word, said[kind], _moment(until))
