"""One provider's turn with a batch: what is learnt of it meanwhile, and when it gets no more."""

from __future__ import annotations

import time

from notify.channels import Configured
from notify.delivery.breaker import Open
from notify.delivery.route import Look
from notify.errors import DeliveryError, Misconfigured, Rejected, Throttled, Transient
from notify.store.work import Work

GIVE_UP_AFTER = 3  # so many lines lost in a row: it is out of reach
TELL_AFTER, TELL_SECONDS = 5, 0.25  # so many failures, or the first after so long, are told to all workers


class Turn:
    """`plain` says that the provider is every message's first choice, and that none was handed to another before.

    `left` is why it gets no more of this batch. A `dry` run concerns no other worker.
    """

    def __init__(
        self, provider: Configured, look: Look, *, plain: bool = True, probe: bool = False, dry: bool = False
    ) -> None:
        self.provider = provider
        self.plain = plain
        self.probe = probe
        self.dry = dry
        self.left: DeliveryError | None = None
        self.passed: list[Work] = []
        self._look = look
        self._good = self._bad = self._lines_lost = 0
        self._reason = ""
        self._told = time.monotonic()

    def praise(self) -> None:
        """It took a message."""
        self._good += 1
        self._lines_lost = 0

    def blame(self, error: DeliveryError) -> None:
        """It did not take a message: only its own trouble counts against it."""
        answers = isinstance(error, Rejected | Throttled | Misconfigured)
        if answers or (isinstance(error, Transient) and error.scope == "message"):
            self._good += 1
        else:
            self._bad += 1
            self._reason = error.reason
        self._lines_lost = self._lines_lost + 1 if error.line_lost else 0

    def think_of_leaving(self, error: DeliveryError) -> None:
        """After this error, whether the rest of the batch had better go elsewhere. Raises `Unreachable`."""
        if self.left is not None:
            return
        if isinstance(error, Throttled | Misconfigured):
            self.leave(error, out_of_reach=False)
        elif self._lines_lost >= GIVE_UP_AFTER:
            self.leave(error, out_of_reach=True)
        elif self._worth_telling() and self.tell():
            self.left = error

    def leave(self, error: DeliveryError, *, out_of_reach: bool) -> None:
        """It gets no more of the batch: let all workers know as far as it concerns them. Raises `Unreachable`."""
        self.left = error
        if self.dry:
            return
        shut = self._look.trouble(self.provider, error)
        self._good += self.probe and isinstance(error, Throttled | Misconfigured)  # it answers
        self._reason = error.reason
        if not (out_of_reach and self.tell(out_of_reach=True)):
            self._look.set(self.provider.name, shut)

    def tell(self, *, out_of_reach: bool = False) -> bool:
        """Report to all workers what was learnt of it; whether it takes nothing more."""
        if self.dry:
            return False
        standing = self._look.report(
            self.provider.name,
            good=self._good,
            bad=self._bad,
            out_of_reach=out_of_reach,
            reason=self._reason,
            probe=self.probe,
        )
        self._good = self._bad = 0
        self._reason, self.probe, self._told = "", False, time.monotonic()
        return isinstance(standing, Open)

    def _worth_telling(self) -> bool:
        return self._bad >= TELL_AFTER or (self._bad > 0 and time.monotonic() - self._told > TELL_SECONDS)
