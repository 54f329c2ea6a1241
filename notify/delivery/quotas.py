"""How many messages per second providers themselves allow, asked now and then. Who does not tell has no such limit."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable

from notify.channels import Configured
from notify.channels.provider import Paced
from notify.errors import DeliveryError
from notify.rates import Rate

ASK_SECONDS = 180.0


class Quotas:
    """The pace of each provider that tells one (see `Paced`) and has no rate in its URL. Threads share it."""

    def __init__(self, providers: Iterable[Configured], clock: Callable[[], float]) -> None:
        told = ((one.name, one.provider) for one in providers if one.rate is None)
        self._told = [_Told(name, provider.pace, clock) for name, provider in told if isinstance(provider, Paced)]

    def renew(self) -> None:
        """Ask whom it is time to ask, for as long as its time-outs; so never while a transaction is open."""
        for one in self._told:
            one.renew()

    def rate(self, name: str) -> Rate | None:
        """What this provider told last, or None."""
        return next((one.rate for one in self._told if one.name == name), None)


class _Told:
    """What one provider told."""

    def __init__(self, name: str, ask: Callable[[], float | None], clock: Callable[[], float]) -> None:
        self.name = name
        self.rate: Rate | None = None
        self._ask = ask
        self._clock = clock
        self._until = -math.inf
        self._asking = threading.Lock()

    def renew(self) -> None:
        """One thread asks; others only wait for the very first answer. Without one, what was told before holds."""
        if self._clock() < self._until or not self._asking.acquire(blocking=self._until == -math.inf):
            return
        try:
            if self._clock() >= self._until:
                pace = self._ask()
                self.rate = Rate(pace, 1) if pace else None
        except DeliveryError:
            return
        finally:
            self._until = max(self._until, self._clock() + ASK_SECONDS)
            self._asking.release()
