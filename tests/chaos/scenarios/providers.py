"""The provider breaks the line, refuses, hangs, or is not there."""

from __future__ import annotations

from collections import Counter

from notify.model import Outcome
from tests.chaos import evidence
from tests.chaos.house import House
from tests.chaos.stage import Stage, scenario
from tests.processes import until

EVERY = 100
OPENS_AFTER = 20  # failures, and then nobody is tried but by a probe
REFUSED = "u7@"


@scenario("12", "the SMTP server resets the line after a body, before its answer")
def resets(stage: Stage) -> None:
    with stage.house(batch_size=500 if stage.long else 100, bounded=False) as house:
        house.worker("worker")
        house.beat()
        count = stage.of(1_000, 30_000)
        house.smtp.mood("reset", every=EVERY, kept=True)
        with house.feeding(count) as feed:
            house.wait_for_arrivals(count // 2, feed)
            house.smtp.mood("reset", every=EVERY, kept=False)
        until(lambda: house.arrived() >= count, 600, "all arrived", every=0.5)
        house.smtp.mood()
        house.drain(120)
        verdicts = house.smtp.arrivals.verdicts
    cut = verdicts["kept"] + verdicts["dropped"]
    stage.require(verdicts["kept"] and verdicts["dropped"], "the server was to break lines in both ways")
    stage.require(
        house.finding.duplicates <= verdicts["kept"],
        f"{house.finding.duplicates} duplicates of {verdicts['kept']} kept",
    )
    stage.require(house.finding.in_doubt <= cut, f"{house.finding.in_doubt} in doubt of {cut} resets")


@scenario("13", "the provider answers 4xx and 5xx, hangs, and is not there")
def provider_trouble(stage: Stage) -> None:
    with stage.house(
        "postgresql" if stage.long else "sqlite", through=("smtp",), brisk=True, bounded=False, batch_size=50
    ) as house:
        house.values["email_providers"] = f"smtp://127.0.0.1:{house.smtp_port}?tls=none&timeout=2&connect_timeout=2"
        house.values["breaker_seconds"] = 1.0
        house.worker("worker")
        house.beat()
        count = stage.of(300, 10_000)
        refused_for_a_while(stage, house, count)
        not_there(stage, house, count)
        silent(stage, house, stage.of(300, 2_000))
        refused_for_good(stage, house, count)
    resent = house.finding.duplicates - house.finding.in_doubt
    stage.require(resent <= 0, f"{house.finding.duplicates} duplicates, {house.finding.in_doubt} in doubt")


def refused_for_a_while(stage: Stage, house: House, count: int) -> None:
    """451 for everyone: each attempt is counted, none goes beyond the policy, and the breaker spares the others."""
    house.smtp.mood("answer", at="body", text="451 4.3.0 later")
    house.send(count, key="later")
    until(lambda: house.arrived() >= 0 and house.smtp.arrivals.verdicts["451"] >= OPENS_AFTER, 60, "451 answered")
    house.smtp.mood()
    house.drain(120)
    bodies, tried = house.smtp.arrivals.bodies, evidence.attempts_per_message(house.store)
    house.arrived()
    unequal = Counter(bodies[one] - tried.get(one, 0) for one in bodies)
    stage.require(set(unequal) <= {0}, f"bodies beyond attempts: {dict(unequal)}")
    most = max(tried.values())
    stage.require(most <= house.settings.retry_attempts, f"{most} attempts, {house.settings.retry_attempts} allowed")


def not_there(stage: Stage, house: House, count: int) -> None:
    """421 at the greeting, then nobody listens: no attempt is used up, and it goes on by itself."""
    for way in ("greeting", "cut"):
        before = sum(evidence.attempts_per_message(house.store).values())
        if way == "cut":
            house.proxies["smtp"].cut()
        else:
            house.smtp.mood("answer", at="greeting", text="421 4.3.2 not now")
            house.proxies["smtp"].reset()  # a line that is kept has its greeting behind it
        house.send(count, key=f"away-{way}")
        until(lambda: evidence.waiting(house.store, later=True) >= count, 60, f"{way}: all put off")
        after = sum(evidence.attempts_per_message(house.store).values())
        stage.require(after == before, f"{way}: the outage cost {after - before} attempts")
        house.proxies["smtp"].mend()
        house.smtp.mood()
        if way == "cut" or not stage.long:  # once it shall go on by nothing but time
            evidence.hasten(house.store, house.app.clock.now())
        house.drain(240)


def silent(stage: Stage, house: House, count: int) -> None:
    """The server hangs: time-outs, then it goes on by itself."""
    house.smtp.mood("hang")
    house.send(count, key="silent")
    until(lambda: evidence.waiting(house.store, later=True) >= count, 90, "all put off")
    house.smtp.mood()
    evidence.hasten(house.store, house.app.clock.now())
    house.drain(120)
    worst = evidence.attempts_per_message(house.store, Outcome.UNCERTAIN)
    stage.require(all(times <= 2 for times in worst.values()), "a hanging server puts nobody in doubt again and again")


def refused_for_good(stage: Stage, house: House, count: int) -> None:
    """550 for one recipient: dead after one attempt; the others do not notice. Last, for nobody writes there again."""
    house.smtp.mood("answer", at="rcpt", text="550 5.1.1 no such user", only=REFUSED)
    before = set(evidence.messages_to(house.store, f"{REFUSED}%"))
    house.send(count, key="refused")
    dead = {str(message) for message in evidence.messages_to(house.store, f"{REFUSED}%") if message not in before}
    house.may_die |= dead
    house.drain(90)
    tried = evidence.attempts_per_message(house.store)
    stage.require([tried.get(one) for one in dead] == [1], "one attempt for who is refused for good")
    house.smtp.mood()
