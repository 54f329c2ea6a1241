"""What benchmarks make of what they saw: rates, memory, steps, and targets reached or missed."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest

from benchmarks.drain import Moment
from benchmarks.profile import NOT_OURS, innermost, step_of
from benchmarks.scale import memory, part_rates
from benchmarks.targets import targets
from notify.policy import retry


def trail(*counts: int, megabytes: float = 100.0) -> list[Moment]:
    return [Moment(float(second), count, megabytes + second) for second, count in enumerate(counts)]


def test_a_steady_run_has_the_same_rate_in_every_part() -> None:
    assert part_rates(trail(*range(0, 21_000, 1000))) == [1000.0] * 10


def test_a_run_that_tires_shows_it_in_its_last_part() -> None:
    rates = part_rates(trail(*range(0, 10_000, 1000), 9500))

    assert rates[0] == 1000.0
    assert rates[-1] == 500.0


def test_a_run_of_a_second_has_one_part() -> None:
    assert part_rates(trail(0, 700)) == [700.0]


def test_memory_counts_as_grown_from_when_the_workers_were_warm() -> None:
    assert memory(trail(*range(21))) == {"start": 100.0, "warm": 102.0, "middle": 110.0, "end": 120.0, "grown": 18.0}


def test_memory_that_nobody_could_read_is_unknown() -> None:
    assert memory([Moment(0.0, 0, None)]) is None


@pytest.mark.parametrize(
    ("module", "step"),
    [
        ("notify.kinds.program", "render"),
        ("notify.channels.email.mime", "compose"),
        ("notify.channels.email.smtp_dialogue", "SMTP"),
        ("notify.delivery.journal", "journal"),
        ("notify.delivery.deliver", "deliver"),
        ("notify.model.message", NOT_OURS),
        ("sqlalchemy.engine", NOT_OURS),
    ],
)
def test_each_module_works_for_a_step(module: str, step: str) -> None:
    assert step_of(module) == step


def test_time_in_a_library_is_charged_to_the_step_that_called_it() -> None:
    seen: list[FrameType] = []

    def library() -> float:
        seen.append(sys._getframe())
        return 0.5

    code = compile("def work(call): return call()", "work.py", "exec")
    ours: dict[str, Any] = {"__name__": retry.__name__}
    exec(code, ours)
    ours["work"](library)

    assert innermost(seen[0]) == ("notify.policy.retry", "work")


def test_a_stack_without_a_step_is_charged_to_nobody() -> None:
    assert innermost(None) == (NOT_OURS, "")


def test_a_target_is_reached_when_every_run_reached_it() -> None:
    scale: list[dict[str, Any]] = [{"ratio": 0.97, "worker_rss_mb": 150.0}, {"ratio": 0.94, "worker_rss_mb": None}]

    speed, size = (target for target in targets({"scale": scale}) if target.found)

    assert (speed.found, speed.reached) == ((0.97, 0.94), False)
    assert (size.found, size.reached) == ((150.0,), True)


def test_a_target_that_nothing_was_measured_for_is_neither_reached_nor_missed() -> None:
    found = targets({})
    assert len(found) == 19
    assert not any(target.found for target in found)
    assert {target.reached for target in found} == {None}


def test_making_a_mail_counts_its_rendering() -> None:
    mail = {"kind": "newsletter-bulk", "render_us": 500.0, "compose_us": 42.0, "both_us": 542.0}
    [making] = [target for target in targets({"compose": [mail]}) if target.found]
    assert not making.reached


def test_single_sends_beside_a_mailout_have_a_target_of_their_own() -> None:
    run = {"rate": 100, "p50_ms": 12.0, "p99_ms": 180.0}
    alone = run | {"lane": "normal", "mailout": 0}
    beside = run | {"lane": "critical", "mailout": 1_000_000}

    reached = {target.name: target.reached for target in targets({"latency": [alone, beside]}) if target.found}

    assert list(reached.values()) == [True, False, True]
