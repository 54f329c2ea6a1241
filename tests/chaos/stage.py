"""Where a scenario plays: it opens houses, and each is drained and checked when it closes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos import evidence
from tests.chaos.checker import Finding
from tests.chaos.house import House
from tests.chaos.recovery import after_kills, percentile
from tests.chaos.services import public_folder

BRISK = {"lease_seconds": 3.0, "republish_seconds": 5.0}
DRAIN_SECONDS = {False: 90.0, True: 600.0}


@dataclass
class Stage:
    """The short form or the long one, and what came of it so far."""

    long: bool = False
    scale: float = 1.0
    finding: Finding = field(default_factory=Finding)
    kills: int = 0
    recoveries: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _folders: list[Path] = field(default_factory=list)

    def of(self, short: int, long: int) -> int:
        """How many, in this form."""
        return max(1, round(long * self.scale)) if self.long else short

    @contextmanager
    def house(
        self,
        database: str = "postgresql",
        *,
        through: tuple[str, ...] = (),
        brisk: bool | None = None,
        bounded: bool = True,
        **values: Any,
    ) -> Iterator[House]:
        """An installation; `through` names services that are reached through a proxy, `values` are settings.

        `brisk` shortens leases and republishing to seconds: it is what the short form does, unless told otherwise.
        `bounded`: every doubt belongs to a connection that was cut. Afterwards `house.finding` has what was counted.
        """
        brisk = not self.long if brisk is None else brisk
        folder = public_folder("house")
        self._folders.append(folder)
        with ExitStack() as stack:
            house = House(folder, stack, database, through, {**(BRISK if brisk else {}), **values})
            yield house
            house.drain(DRAIN_SECONDS[self.long])
            house.supervisor.stop()
            self._note(house, bounded)

    def clear(self) -> None:
        """Remove what the houses left, unless something went wrong: then their logs tell why."""
        if not self.problems:
            for folder in self._folders:
                shutil.rmtree(folder, ignore_errors=True)

    def require(self, true: object, what: str) -> None:
        """Note `what` as a problem unless it is so."""
        if not true:
            self.problems.append(what)

    @property
    def recovery(self) -> float | None:
        """The 99th percentile of the recoveries, in seconds."""
        return percentile(self.recoveries, 0.99)

    def _note(self, house: House, bounded: bool) -> None:
        finding = house.finding = house.check()
        self.finding += finding
        self.kills += sum(kill.processes for kill in house.kills) + len(house.outages)
        if house.kills:
            self.recoveries += after_kills(house.kills, evidence.sent_at(house.store))
        for moment in house.outages:
            last = evidence.last_sent_of_before(house.store, moment)
            self.recoveries.append(max(0.0, (last - moment).total_seconds()) if last else 0.0)
        self.problems += finding.problems(doubt_bound=house.doubt_bound() if bounded else None)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One of the list. `within` bounds its recovery, in seconds."""

    id: str
    name: str
    play: Callable[[Stage], None]
    within: float | None = None


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    number: str, name: str, *, within: float | None = None
) -> Callable[[Callable[[Stage], None]], Callable[[Stage], None]]:
    """Enter a scenario into the list."""

    def enter(play: Callable[[Stage], None]) -> Callable[[Stage], None]:
        SCENARIOS[number] = Scenario(number, name, play, within)
        return play

    return enter
