"""The relay is killed at one line; beat is away, and then there are two."""

from __future__ import annotations

import signal
import time
from datetime import timedelta

from tests.chaos import evidence
from tests.chaos.house import House
from tests.chaos.stage import Stage, scenario
from tests.processes import until


def schedule(
    house: House, count: int, *, over: float, start: float = 1.0, prefix: str = "later", kind: str = "hello"
) -> None:
    """Ask for `count` messages due one after the other, from `start` to `start + over` seconds from now."""
    now = house.app.clock.now()
    for number in range(count):
        due = now + timedelta(seconds=start + over * number / count)
        house.send(1, key=f"{prefix}-{number}", kind=kind, at=due)


def too_early(house: House, by: float = 0.0) -> int:
    """How many messages arrived more than `by` seconds before they were due."""
    house.arrived()
    first = house.smtp.arrivals.first
    due = evidence.due(house.store)
    return sum(name in first and first[name] < at.timestamp() - by for name, at in due.items())


@scenario("4", "kill -9 of the relay, between stamp and ring", within=90)
def relay_killed(stage: Stage) -> None:
    for place in ("relay.stamped", "relay.published"):
        with stage.house("sqlite") as house:
            house.worker("worker", "--lanes", "critical,normal,bulk")
            schedule(house, stage.of(30, 300), over=stage.of(3, 60))
            for death in range(stage.of(1, 10)):
                time.sleep(2)  # until something is due, and nobody has rung for it
                name = f"ticker-{death}"
                house.worker(name, "--lanes", "system", first={"NOTIFY_FAILPOINTS": f"{place}=kill@1"})
                if death == 0:
                    house.beat()
                until(lambda name=name: house.supervisor.deaths(name), 60, f"{place} kills")  # type: ignore[misc]
                stage.require(house.supervisor.deaths(name) == [-signal.SIGKILL], f"{place} was to kill")
                house.supervisor.dismiss(name)
                stage.kills += 1
            house.worker("ticker", "--lanes", "system")
            house.drain(60 + 2 * house.settings.republish_seconds)
        stage.require(house.finding.duplicates == 0, f"{place}: {house.finding.duplicates} duplicates")


@scenario("5", "beat killed for a while, then two beats at once")
def beat_away(stage: Stage) -> None:
    outage = stage.of(3, 120)
    with stage.house() as house:
        house.worker("worker")
        house.beat("beat-1")
        schedule(house, stage.of(40, 600), over=outage, start=3.0)
        house.wait_for_arrivals(1)
        house.supervisor.dismiss("beat-1", signal.SIGKILL)
        stage.kills += 1
        time.sleep(outage)
        house.beat("beat-2")
        house.beat("beat-3")
        schedule(house, stage.of(20, 200), over=stage.of(2, 20), prefix="after")
        house.drain(90)
        stage.require(too_early(house) == 0, "something arrived before it was due")
    stage.require(house.finding.duplicates == 0, f"{house.finding.duplicates} duplicates")


@scenario("17", "two beats at once, all the time")
def two_beats(stage: Stage) -> None:
    with stage.house() as house:
        house.worker("worker-1")
        house.worker("worker-2")
        house.beat("beat-1")
        house.beat("beat-2")
        schedule(house, stage.of(40, 1_000), over=stage.of(4, 60), start=2.0)
        with house.feeding(stage.of(500, 20_000)):
            house.wait_for_arrivals(1)
        house.drain(90)
        stage.require(too_early(house) == 0, "something arrived before it was due")
    stage.require(house.finding.duplicates == 0, f"{house.finding.duplicates} duplicates")
