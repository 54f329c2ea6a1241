"""Workers that are killed, stopped, or die of one message."""

from __future__ import annotations

import random
import signal
import time
from typing import Any

from notify.model import OnDoubt
from tests.chaos import evidence
from tests.chaos.stage import Stage, scenario
from tests.kinds import make_kind

PAIR = ("worker-1", "worker-2")


@scenario("1", "kill -9 of one of two workers, at random, under load", within=45)
def one_of_two(stage: Stage) -> None:
    chance = random.Random(1)
    with stage.house(batch_size=500 if stage.long else 100) as house:
        for name in PAIR:
            house.worker(name)
        house.beat()
        with house.feeding(stage.of(3_000, 300_000)) as feed:
            house.workers_alive(*PAIR)
            for _ in range(stage.of(3, 100)):
                house.wait_for_arrivals(stage.of(150, 2_500) + chance.randrange(200), feed)
                victim = chance.choice(PAIR)
                house.workers_alive(victim)
                house.kill(victim)


@scenario("2", "kill -9 of all workers at once", within=45)
def all_at_once(stage: Stage) -> None:
    with stage.house(batch_size=500 if stage.long else 100) as house:
        for name in PAIR:
            house.worker(name)
        house.beat()
        with house.feeding(stage.of(3_000, 200_000)) as feed:
            for _ in range(stage.of(2, 50)):
                house.workers_alive(*PAIR)
                house.wait_for_arrivals(stage.of(300, 3_000), feed)
                house.kill(*PAIR)


@scenario("3", "kill -9 between the provider's 250 and its record")
def before_the_record(stage: Stage) -> None:
    for on_doubt in OnDoubt:
        deaths = stage.of(1, 20)
        with stage.house("sqlite", brisk=True, bounded=False, batch_size=50) as house:
            make_kind(house.templates, "doubtful", toml=f'on_doubt = "{on_doubt}"')
            house.values["email_providers"] += "&connections=1"
            for death in range(deaths):
                house.send(100, key=f"mailout-{death}", kind="doubtful")
                name = f"worker-{death}"
                house.worker(name, "--concurrency", "1", first={"NOTIFY_FAILPOINTS": "provider.accepted=kill@37"})
                if death == 0:
                    house.beat()
                house.drain(60)
                stage.require(house.supervisor.deaths(name) == [-signal.SIGKILL], f"{name} was to be killed once")
                stage.kills += 1
                house.supervisor.dismiss(name)
        resent = deaths if on_doubt is OnDoubt.RESEND else 0
        finding = house.finding
        told = f"{finding.in_doubt} in doubt and {finding.duplicates} duplicates of {deaths} kills, on_doubt {on_doubt}"
        stage.require((finding.in_doubt, finding.duplicates) == (deaths, resent), told)


@scenario("11", "SIGSTOP of a worker past its lease, then SIGCONT")
def stopped_past_the_lease(stage: Stage) -> None:
    with stage.house(brisk=True, batch_size=100) as house:
        for name in PAIR:
            house.worker(name)
        house.beat()
        with house.feeding(stage.of(3_000, 40_000), ahead=3_000) as feed:
            for number in range(stage.of(1, 15)):
                victim = PAIR[number % 2]
                house.workers_alive(victim)
                house.wait_for_arrivals(300, feed)
                house.stop(victim)
                time.sleep(house.settings.lease_seconds + 2)  # the time it is meant to miss
                house.supervisor.tell(victim, signal.SIGCONT)


@scenario("14", "a recipient whose mail kills the worker, takes its memory, or hangs")
def poison(stage: Stage) -> None:
    sizes = (
        {"abort": 16, "memory": 16, "hang:300": 2} if stage.long else {"abort": 4}
    )  # a hang costs half a minute each
    for way, size in sizes.items():
        quick: dict[str, Any] = {"lease_seconds": 1.0, "republish_seconds": 2.0, "stuck_seconds": 5.0}
        with stage.house(batch_size=size, bounded=False, **quick) as house:
            house.values["failpoints"] = f"render[u5]={way}"
            house.worker("worker")
            house.beat()
            house.send(stage.of(40, 2_000), key="mailout")
            house.may_die |= {str(message) for message in evidence.messages_to(house.store, "u5@%")}
            house.drain(400 if stage.long else 90)
            deaths = len(house.supervisor.deaths("worker"))
            stage.kills += deaths
        doubts, bound = house.finding.in_doubt, deaths * house.settings.worker_concurrency
        stage.require(doubts <= bound, f"{way}: {doubts} in doubt of {deaths} deaths")
        stage.require(house.finding.dead == 1, f"{way}: {house.finding.dead} dead, and one is poison")
