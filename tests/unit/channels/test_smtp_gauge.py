"""The number of lines follows what waiting costs, and one hiccup is no reason to change it."""

from __future__ import annotations

from collections.abc import Iterable

from notify.channels.email.smtp_gauge import Gauge


def after(lines: int, waits: Iterable[float], work: float = 0.0001) -> Gauge:
    """Each answer waited for so many seconds, and worked on for `work`."""
    gauge, now = Gauge(lines), 0.0
    for seconds in waits:
        gauge.looked(now, now + seconds)
        now += seconds + work
        gauge.answered(lines)
    return gauge


def test_waiting_for_each_answer_doubles_the_lines() -> None:
    assert after(1, [0.030] * 12).wanted == 2
    assert after(4, [0.008] * 24).sensible == 8


def test_lines_that_answer_together_count_as_lines_that_answer_in_turn() -> None:
    assert after(8, [0.030, *[0.0] * 7] * 6).wanted == 16


def test_answers_that_come_quickly_change_nothing() -> None:
    assert after(1, [0.0002] * 1000).sensible == 1
    assert after(4, [0.0008] * 1000).sensible == 4


def test_one_hiccup_changes_nothing() -> None:
    assert after(1, [*[0.0002] * 9, 0.1, *[0.0002] * 30]).wanted == 1


def test_lines_that_are_not_needed_are_fewer_next_time() -> None:
    gauge = after(8, [0.00005] * 100)
    assert (gauge.wanted, gauge.sensible) == (8, 4)


def test_a_thread_that_is_busy_keeps_its_lines() -> None:
    assert after(8, [0.0] * 100, work=0.001).sensible == 8


def grown(gauge: Gauge, lines: int, wait: float) -> Gauge:
    """Two windows more on so many lines."""
    now = 1000.0 * lines
    gauge.restart()
    for _ in range(2 * max(6, 3 * lines)):
        gauge.looked(now, now + wait)
        now += wait + 0.0001
        gauge.answered(lines)
    return gauge


def test_lines_grow_as_long_as_they_help() -> None:
    gauge = Gauge(1)
    for lines in (1, 2, 4, 8):
        assert not grown(gauge, lines, 0.030 / lines).enough
        assert gauge.wanted == 2 * lines


def test_a_server_that_takes_one_after_the_other_is_given_no_more_lines_than_it_has_use_for() -> None:
    gauge = grown(Gauge(1), 1, 0.005)
    assert gauge.wanted == 2
    grown(gauge, 2, 0.005)
    assert (gauge.wanted, gauge.enough, gauge.sensible) == (2, True, 1)
    assert grown(gauge, 2, 0.005).wanted == 2


def test_where_more_lines_were_of_no_use_the_next_batch_does_not_try_them() -> None:
    assert grown(Gauge(1, enough=True), 1, 0.030).wanted == 1
