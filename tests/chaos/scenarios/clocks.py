"""Clocks that jump an hour."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from notify.app import using
from tests.chaos.house import House
from tests.chaos.shifted import ShiftedClock
from tests.chaos.stage import Stage, scenario

HOUR = 3600.0
SHIFTED = "tests.chaos.shifted"


@scenario("16", "a clock that jumps an hour, and one that is an hour ahead of the others")
def jumping(stage: Stage) -> None:
    the_whole_machine(stage)
    one_of_two(stage)


def the_whole_machine(stage: Stage) -> None:
    """All processes of a machine share its clock: nothing goes before its time by that clock, and nothing twice."""
    with stage.house("sqlite", batch_size=100) as house:
        clock = clock_of(house, "machine")
        house.worker("worker", module=SHIFTED, clock=house.folder / "machine")
        house.beat(module=SHIFTED, clock=house.folder / "machine")
        with using(replace(house.app, clock=clock)):
            now = clock.now()
            house.send(20, key="in 30 minutes", at=now + timedelta(minutes=30))
            house.send(20, key="in 2 hours", at=now + timedelta(hours=2))
            with house.feeding(stage.of(1_000, 20_000), ahead=1_000) as feed:
                house.wait_for_arrivals(200, feed)
                clock.jump(HOUR)
            house.postponed = 20
            house.wait_for_all()
            early = house.arrived() - house.expected()
            stage.require(early <= 0, f"{early} arrived an hour before their time")
            clock.jump(3 * HOUR)
            house.postponed = 0
            house.drain(90)
            clock.jump(0)  # and back: what is sent now is delivered now
            house.send(50, key="after")
            house.drain(90)
    stage.require(house.finding.duplicates == 0, f"{house.finding.duplicates} duplicates")


def one_of_two(stage: Stage) -> None:
    """A worker whose clock is an hour ahead takes every lease for run out: whatever comes twice of that is named."""
    with stage.house("sqlite", batch_size=100, bounded=False) as house:
        clock_of(house, "ahead").jump(HOUR)
        house.worker("worker-1")
        house.worker("worker-2", module=SHIFTED, clock=house.folder / "ahead")
        house.beat()
        house.workers_alive("worker-1", "worker-2")
        with house.feeding(stage.of(2_000, 20_000), ahead=1_000):
            house.wait_for_arrivals(100)
        house.drain(120)


def clock_of(house: House, name: str) -> ShiftedClock:
    path = house.folder / name
    path.write_text("0")
    return ShiftedClock(path)
