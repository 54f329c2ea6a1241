"""The broker is killed, emptied, or goes silent."""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from notify.store import presence
from tests.chaos.house import House
from tests.chaos.stage import Stage, scenario
from tests.processes import until
from tests.rabbitmq import RabbitMQ

NEVER = datetime.min.replace(tzinfo=UTC)
PAIR = ("worker-1", "worker-2")
PUBLISHERS_FAIL_WITHIN = 30.0
CONSUMERS_BACK_WITHIN = 60.0
PAUSE_SECONDS = 80.0  # so that what a flush holds up is not held up by the next one, too


@scenario("6", "kill -9 of Redis, with its append-only file", within=90)
def redis_killed(stage: Stage) -> None:
    with stage.house(batch_size=500 if stage.long else 100) as house:
        for name in PAIR:
            house.worker(name)
        house.beat()
        with house.feeding(stage.of(3_000, 60_000), ahead=3_000) as feed:
            house.workers_alive(*PAIR)
            for _ in range(stage.of(1, 15)):
                house.wait_for_arrivals(stage.of(300, 2_000), feed)
                house.outage()
                house.valkey.crash()
                time.sleep(1)  # what a container runtime takes
                house.valkey.start()
                time.sleep(stage.of(0, 15))  # else the next outage holds up what this one did


@scenario("7", "FLUSHALL of Redis in the middle of a mailout", within=90)
def redis_emptied(stage: Stage) -> None:
    with stage.house(batch_size=500 if stage.long else 100) as house:
        for name in PAIR:
            house.worker(name)
        house.beat()
        with house.feeding(stage.of(3_000, 300_000), ahead=stage.of(3_000, 10_000)) as feed:
            house.workers_alive(*PAIR)
            for _ in range(stage.of(1, 4)):
                house.wait_for_arrivals(300, feed)
                house.outage()
                house.valkey.client.flushall()
                time.sleep(PAUSE_SECONDS if stage.long else 0)


@scenario("8", "a half-open link to Redis", within=90)
def redis_half_open(stage: Stage) -> None:
    for _ in range(stage.of(1, 3)):
        with stage.house(through=("redis",), batch_size=100) as house:
            house.worker("worker")
            house.beat()
            house.send(300, key="before")
            house.wait_for_arrivals(300)
            house.proxies["redis"].half_open()
            began = time.monotonic()
            house.send(100, key="meanwhile")  # the bell is not heard: the rows are kept
            took = time.monotonic() - began
            stage.require(took < PUBLISHERS_FAIL_WITHIN, f"send() took {took:.0f} s while Redis was silent")
            house.proxies["redis"].mend()
            house.outage()  # it counts from here: what a silent line holds up is sent soon after
            mended = house.app.clock.now()
            house.send(100, key="after")  # Redis may give this bell to the dead line; the relay rings again
            until(lambda since=mended: ticked(house) > since, 90, "a tick is fetched again")  # type: ignore[misc]
            took = (ticked(house) - mended).total_seconds()
            stage.require(took < CONSUMERS_BACK_WITHIN, f"the consumer came back after {took:.0f} s")
            house.wait_for_all()


def ticked(house: House) -> datetime:
    """When a worker last fetched a tick of the relay: a sign that it listens to the broker."""
    with house.store.read() as connection:
        return presence.ticks(connection).get("relay", NEVER)


@scenario("9", "kill -9 of RabbitMQ, with publisher confirms", within=90)
def rabbitmq_killed(stage: Stage) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="notify-chaos-", ignore_cleanup_errors=True) as folder,
        RabbitMQ(Path(folder)) as rabbitmq,
        stage.house(batch_size=100, broker_url=rabbitmq.url) as house,
    ):
        for name in PAIR:
            house.worker(name)
        house.beat()
        with house.feeding(stage.of(2_000, 30_000), ahead=2_000) as feed:
            house.workers_alive(*PAIR)
            for _ in range(stage.of(1, 5)):
                house.wait_for_arrivals(300, feed)
                house.outage()
                rabbitmq.kill()
                rabbitmq.start()
    stage.require(house.finding.duplicates == 0, f"{house.finding.duplicates} duplicates")
