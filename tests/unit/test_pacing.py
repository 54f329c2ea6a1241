"""Openings: never more than the rate in any span of its length, whoever comes, whenever, and however late."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from heapq import heapreplace
from itertools import cycle
from math import floor
from typing import Any, cast
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from redis import Redis

from notify.delivery import pacing
from notify.delivery.pacing import Asker, Opening, Openings, Pace
from notify.rates import rate
from notify.telemetry import subscribed
from tests.pacing import highest

BUSY_RUNS = 3  # a busy machine uses less than a limit allows: it has another go
ME = Asker("me", reach=0.5, share=1.5)


@pytest.fixture
def redis(redis_url: str) -> Redis:
    client = Redis.from_url(redis_url)
    client.flushall()
    return client


def begin(openings: Openings, asker: Asker = ME) -> float:
    """Wait for an opening and use it; returns when that was."""
    while True:
        found = openings.take(asker)
        if not isinstance(found, Opening):
            time.sleep(found)
            continue
        time.sleep(max(0.0, found.at - time.monotonic()))
        if (now := time.monotonic()) <= found.until:
            return now


def begin_for(url: str, written: str, seconds: float) -> list[float]:
    """What three threads of one process get of a limit in so many seconds."""
    openings = Openings(Redis.from_url(url), "shared", rate(written))
    end = time.monotonic() + seconds

    def one() -> list[float]:
        moments = []
        while (now := time.monotonic()) < end:
            moments.append(begin(openings))
            assert moments[-1] >= now
        return moments

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(one) for _ in range(3)]
        return [moment for each in running for moment in each.result()]


@pytest.mark.parametrize(
    ("written", "most", "span"), [("14/s", 14, 1.0), ("10/m", 10, 60.0), ("0.5/s", 1, 2.0), ("1000/h", 1000, 3600.0)]
)
def test_whatever_is_used_in_time_never_exceeds_the_rate_in_any_span_of_its_length(
    written: str, most: int, span: float
) -> None:
    pace = Pace.of(rate(written))
    openings = [number * pace.spacing for number in range(3 * most + 3)]
    soonest_last = [at + (0.999 * pace.slack if number < most else 0.0) for number, at in enumerate(openings)]
    assert highest(soonest_last, span) <= most
    assert most / pace.spacing / most * span >= 0.95 * most


def begin_in_parts_for(url: str, written: str, seconds: float) -> list[float]:
    """What a process gets of a limit in parts: as long as it flows what has come, and then what it waits for."""
    pacing.PART = rate(written).per_second / pacing.LEAST_PARTS
    openings = Openings(Redis.from_url(url), "parts", rate(written))
    end, moments = time.monotonic() + seconds, []
    while (now := time.monotonic()) < end:
        if not openings.flows(now):
            moments.append(begin(openings))
            continue
        count, until = openings.several(ME, 8)
        moments += [now for _ in range(count) if (now := time.monotonic()) <= until]
    return moments


@pytest.mark.parametrize("written", ["15999/s", "16000/s", "70001.5/s", "1000000/s", "1500000/m"])
def test_all_parts_of_a_limit_are_no_more_than_it_and_nearly_as_much(written: str) -> None:
    wanted = rate(written)
    parts = pacing.parts_of(wanted)
    pace = Pace.of(wanted, parts)
    most = parts * (wanted.seconds + pace.slack) / pace.spacing
    assert 0.999 * wanted.count <= most <= wanted.count + 1e-6


class Paper:
    """Redis as far as one limit goes: its clock is ours, and it hands out openings as the script does."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._free: dict[int, float] = {}

    def register_script(self, _source: str) -> Callable[[list[str], list[Any]], tuple[int, str]]:
        return self._reserve

    def _reserve(self, _keys: list[str], arguments: list[Any]) -> tuple[int, str]:
        spacing, back, want, reach, share, _member, parts, stretch = arguments
        free = [self._free.get(part, 0.0) for part in range(parts)]
        idle = sum(at < self.now for at in free)
        part = free.index(min(free))
        first, last = max(free[part], self.now - back), self.now + max(reach, share)
        if first > last:
            return 0, str(first - last)
        count = min(want, 1 + floor((last - first) / spacing))
        count = max(count, stretch) if 2 * idle > parts else count
        self._free[part] = first + count * spacing
        return count, str(first - self.now)


class Process:
    """One that begins messages as long as it may, resting and stopping as it is told: first in bunches, then singly."""

    def __init__(self, paper: Paper, written: str, pauses: list[float], delays: list[float]) -> None:
        self.used: list[float] = []
        self._paper = paper
        self._openings = Openings(cast(Redis, paper), "x", rate(written), clock=lambda: paper.now)
        self._pauses, self._delays = cycle(pauses), cycle(delays)

    def step(self) -> float:
        """Begin what may begin; returns when to go on."""
        now = self._paper.now
        if self._openings.flows(now):
            count, until = self._openings.several(ME, 8)
            begun = now
        else:
            found = self._openings.take(ME)
            if not isinstance(found, Opening):
                return now + found
            count, until = 1, found.until
            begun = max(now, found.at)
        begun += next(self._delays)
        if begun <= until:
            self.used += [begun] * count
        return begun + next(self._pauses)


SPEEDS = st.tuples(
    st.lists(st.sampled_from([0.0, 0.0, 0.001, 0.01, 0.03, 0.4, 9.0]), min_size=1, max_size=20),
    st.lists(st.sampled_from([0.0, 0.0, 0.002, 0.015, 0.02, 0.05, 3.0]), min_size=1, max_size=20),
)
BUSY = ([0.0], [0.0])
STEPS = 1500


@given(
    written=st.sampled_from(["14/s", "3/s", "10/m", "0.5/s", "159/s", "160/s", "215/s", "400/s", "1000/s"]),
    speeds=st.lists(SPEEDS, min_size=1, max_size=12),
)
@example("160/s", [BUSY] * 3)
@example("1000/s", [BUSY] * 12)
def test_no_pattern_of_arrivals_and_stops_of_processes_makes_more_of_it(
    written: str, speeds: list[tuple[list[float], list[float]]]
) -> None:
    paper = Paper()
    with patch.object(pacing, "PART", 40.0):  # those from 160/s on are in parts
        processes = [Process(paper, written, *each) for each in speeds]
        turns = [(paper.now, number) for number in range(len(processes))]
        for _ in range(STEPS):
            paper.now, number = turns[0]
            heapreplace(turns, (processes[number].step(), number))
    wanted = rate(written)
    most, span = (wanted.count, wanted.seconds) if wanted.count >= 1 else (1, wanted.seconds / wanted.count)
    assert highest((moment for each in processes for moment in each.used), span) <= most


@pytest.mark.parametrize(("written", "most"), [("30/s", 30), ("400/s", 400)])
def test_many_threads_of_several_processes_never_exceed_the_rate_and_reach_it(
    redis: Redis, redis_url: str, written: str, most: int
) -> None:
    reached = []
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        pool.starmap(begin_for, [(redis_url, "1000/s", 0.1)] * 3)  # by now they have loaded everything
        for _ in range(BUSY_RUNS):
            redis.flushall()
            found = pool.starmap(begin_for, [(redis_url, written, 2.0)] * 3)
            moments = [moment for each in found for moment in each]  # CLOCK_MONOTONIC is the machine's
            assert highest(moments, 1.0) <= most
            reached.append(len(moments))
            if reached[-1] >= 0.75 * 2.0 * most and all(found):  # `make load` is where 95 % is asked for
                return
    pytest.fail(f"never reached in {BUSY_RUNS} runs: {reached}")


def test_a_limit_in_parts_is_never_exceeded_when_it_comes_to_bind(redis: Redis, redis_url: str) -> None:
    reached = []
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        pool.starmap(begin_for, [(redis_url, "1000/s", 0.1)] * 3)
        for _ in range(BUSY_RUNS):
            redis.flushall()
            found = pool.starmap(begin_in_parts_for, [(redis_url, "400/s", 3.5)] * 3)
            moments = [moment for each in found for moment in each]
            assert highest(moments, 1.0) <= 400
            reached.append(len(moments))
            if reached[-1] >= 0.5 * 3.5 * 400 and all(found):
                return
    pytest.fail(f"never reached in {BUSY_RUNS} runs: {reached}")


def test_a_limit_far_above_is_asked_for_a_long_while_at_once(redis: Redis) -> None:
    now, asked = [100.0], list[float]()
    openings = Openings(redis, "x", rate("1000000/s"), clock=lambda: now[0])
    reserve = openings._reserve

    def ask(keys: list[str], arguments: list[str | float]) -> tuple[int, str]:
        asked.append(now[0])
        found: tuple[int, str] = reserve(keys, arguments)
        return found

    openings._reserve = cast(Any, ask)
    for _ in range(400):
        count, until = openings.several(ME, 8)
        assert count == 8
        assert until - now[0] > 0.01
        now[0] += 0.001
    assert len(asked) == 1


def test_a_opening_that_was_missed_is_never_used(redis: Redis) -> None:
    now = [100.0]
    openings = Openings(redis, "x", rate("1000/s"), clock=lambda: now[0])
    for _ in range(40):
        assert isinstance(openings.take(ME), Opening)  # now a slice holds several
    now[0] += 3600
    found = openings.take(ME)
    assert isinstance(found, Opening)
    assert found.at >= now[0] - Pace.of(rate("1000/s")).late


def test_who_took_less_than_a_fair_share_passes_those_who_queue(redis: Redis) -> None:
    openings = Openings(redis, "x", rate("20/s"))
    greedy, modest = Asker("greedy", 0.2, 1.5), Asker("modest", 0.2, 1.5)
    while isinstance(openings.take(greedy), Opening):
        pass
    got = [openings.take(modest) for _ in range(5)]
    assert all(isinstance(one, Opening) for one in got)
    assert not isinstance(openings.take(greedy), Opening)


def test_what_is_given_back_is_for_whoever_asks_next(redis: Redis) -> None:
    openings = Openings(redis, "x", rate("1/m"))
    first = openings.take(ME)
    assert isinstance(first, Opening)
    assert not isinstance(openings.take(ME), Opening)
    openings.give_back([first])
    assert openings.take(Asker("another", 0.1, 0.1)) == first


def test_a_changed_rate_holds_at_once(redis: Redis) -> None:
    assert isinstance(Openings(redis, "x", rate("1/d")).take(ME), Opening)
    assert isinstance(Openings(redis, "x", rate("14/s")).take(ME), Opening)


def test_without_redis_each_process_keeps_to_a_part_and_says_so_once() -> None:
    nobody = Redis.from_url("unix:///nowhere/valkey.sock")
    openings, told, now = Openings(nobody, "x", rate("8/s"), clock=lambda: clock[0]), [], 0.0
    clock = [50.0]
    with subscribed(lambda event, _facts: told.append(event)):
        used = 0
        for _ in range(100):
            now = clock[0]
            while isinstance(openings.take(Asker("me", 0.0, 0.0)), Opening):
                used += 1
            clock[0] = now + 0.1
    assert used in (9, 10, 11)
    assert told == ["limits.local"]


def test_threads_that_share_openings_use_each_once(redis: Redis) -> None:
    openings = Openings(redis, "x", rate("500/s"))
    seen: list[Opening] = []
    lock = threading.Lock()

    def take() -> None:
        for _ in range(50):
            found = openings.take(ME)
            if isinstance(found, Opening):
                with lock:
                    seen.append(found)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.at for one in seen}) == len(seen) > 100
