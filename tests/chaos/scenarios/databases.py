"""PostgreSQL crashes in the middle of commits."""

from __future__ import annotations

import random
import threading

from tests.chaos.house import House
from tests.chaos.stage import Stage, scenario
from tests.processes import until

COMMIT = b"COMMIT"


@scenario("10", "PostgreSQL crashes and restarts while a worker commits")
def crash_at_commit(stage: Stage) -> None:
    chance = random.Random(10)
    with stage.house(through=("database",), batch_size=100) as house:
        for name in ("worker-1", "worker-2"):
            house.worker(name)
        house.beat()
        with house.feeding(stage.of(3_000, 60_000), ahead=3_000) as feed:
            house.workers_alive("worker-1", "worker-2")
            for _ in range(stage.of(2, 25)):
                house.wait_for_arrivals(stage.of(200, 1_000), feed)
                house.outage()
                crash_at(house, nth=chance.randint(1, 20))
                assert house.postgresql is not None
                house.postgresql.start()


def crash_at(house: House, nth: int) -> None:
    """Crash PostgreSQL as the `nth` COMMIT from now is on its way: nobody knows whether it was carried out."""
    assert house.postgresql is not None
    crashed = threading.Event()
    seen = 0

    def tap(octets: bytes) -> None:
        nonlocal seen
        seen += COMMIT in octets
        if seen >= nth and not crashed.is_set():
            crashed.set()
            house.postgresql.crash()  # type: ignore[union-attr]  # as above

    house.proxies["database"].tap = tap
    until(crashed.is_set, 60, "somebody commits")
    house.proxies["database"].tap = None
