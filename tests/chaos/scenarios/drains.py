"""Deployments: every worker is asked to stop, one after the other, while mail goes out.

What must come on time is of a kind in a lane of its own, as the lanes are meant: in the mailout's lane it would wait
behind the mailout.
"""

from __future__ import annotations

from datetime import timedelta

from tests.chaos import evidence
from tests.chaos.house import House
from tests.chaos.scenarios.beats import schedule, too_early
from tests.chaos.stage import Stage, scenario
from tests.kinds import make_kind

STOPPED_WITHIN = 30.0
LATE_BY = 2.0
DAYS = 3


@scenario("15", "rolling SIGTERM of all workers during a mailout, with sends due later")
def rolling_restart(stage: Stage) -> None:
    for database in ("postgresql", "sqlite"):
        with stage.house(database, batch_size=500 if stage.long else 100) as house:
            make_kind(house.templates, "alarm", toml='lane = "critical"')
            workers = start_workers(house, stage.long)
            house.beat()
            house.workers_alive(*workers)
            count = stage.of(2_000, 300_000 if database == "postgresql" else 60_000)
            rounds = stage.of(1, 6)
            for day in range(1, DAYS + 1):
                house.send(stage.of(10, 3_000), key=f"day-{day}", at=house.app.clock.now() + timedelta(days=day))
                house.postponed += stage.of(10, 3_000)
            with house.feeding(count, ahead=stage.of(1_000, 6_000)) as feed:
                schedule(house, stage.of(20, 1_000), over=stage.of(3, 90), prefix="soon", kind="alarm")
                for _ in range(rounds):
                    for name in workers:
                        restart(stage, house, name)
                        house.wait_for_arrivals(stage.of(100, 2_000), feed)
            house.wait_for_all()
            stage.require(too_early(house) == 0, "something arrived before it was due")
            late = lateness(house)
            stage.require(not stage.long or late <= LATE_BY, f"{database}: {late:.1f} s late")
            evidence.hasten(house.store, house.app.clock.now())
            house.drain(180)
        told = f"{database}: {house.finding.duplicates} duplicates, {house.finding.in_doubt} in doubt"
        stage.require((house.finding.duplicates, house.finding.in_doubt) == (0, 0), told)


def start_workers(house: House, long: bool) -> list[str]:
    """Two of each, so that there is always one: as in production, or in the short form two for all lanes."""
    lanes = ("critical,system", "normal") if long else ("critical,normal,bulk,system",)
    chosen = {f"{served.partition(',')[0]}-{number}": served for served in lanes for number in (1, 2)}
    for name, served in chosen.items():
        house.worker(name, "--lanes", served)
    return list(chosen)


def restart(stage: Stage, house: House, name: str) -> None:
    code, took = house.supervisor.ask_to_stop(name)
    stage.require(code == 0, f"{name} ended with {code}")
    stage.require(took < STOPPED_WITHIN, f"{name} took {took:.0f} s to stop")
    house.workers_alive(name)


def lateness(house: House) -> float:
    """By how many seconds the latest of the messages due within the hour came after its time."""
    house.arrived()
    first = house.smtp.arrivals.first
    return max(
        (first[name] - due.timestamp() for name, due in evidence.due(house.store).items() if name in first), default=0.0
    )
