"""The gates of one batch to all its providers, and what to wait for when they are shut."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from notify.channels import Configured
from notify.delivery.breaker import Open, Probe
from notify.delivery.gate import Gate
from notify.delivery.limits import Delayed, Later, Limits
from notify.delivery.route import Look, Wait
from notify.model import Batch
from notify.store.batches import RATE_LIMITED as REASON
from notify.store.work import Work


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

    def counts(self, kind: str) -> bool:
        """Whether a message of this kind takes a share of its recipient's."""
        return self._limits.counts(kind)

    def recipients(self, works: Sequence[Work]) -> list[tuple[list[Work], Wait]]:
        """Those whose recipients had their share of the kind, and until when."""
        return [(one.works, Wait(one.until, REASON, one.rule)) for one in self._limits.recipients(works)]

    def categories(self, works: Sequence[Work]) -> list[Delayed]:
        """Those whose recipients had their share of the category, and whether they wait for another or are skipped."""
        return self._limits.categories(works)

    def close(self) -> None:
        """Give back what was claimed and not used."""
        for gate in self._gates.values():
            gate.close()
