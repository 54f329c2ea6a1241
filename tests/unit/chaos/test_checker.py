"""The checker of the chaos scenarios finds each way in which the promise can be broken."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from notify.model import MessageState
from tests.chaos.checker import Finding, Row, check
from tests.chaos.recovery import Kill, after_kills, percentile

MAILOUT = uuid4()
SENT = Row(MAILOUT, MessageState.SENT, accepted=1)
RESENT = Row(MAILOUT, MessageState.SENT, accepted=1, uncertain=1)


def found(rows: dict[str, Row], *arrived: str, acknowledged: int | None = None, may_die: str = "") -> Finding:
    wanted = {MAILOUT: len(rows) if acknowledged is None else acknowledged}
    return check(wanted, rows, Counter(arrived), {may_die})


def test_what_was_acknowledged_and_arrived_once_is_well() -> None:
    finding = found({"a": SENT, "b": SENT}, "a", "b")
    assert finding == Finding(accepted=2, arrived=2)
    assert finding.problems(doubt_bound=0) == []


def test_a_sent_message_that_did_not_arrive_is_lost() -> None:
    finding = found({"a": SENT, "b": SENT}, "a")
    assert finding.lost == 1
    assert "lost = 1" in finding.problems()


def test_an_acknowledged_message_that_the_database_does_not_know_is_lost() -> None:
    finding = found({"a": SENT}, "a", acknowledged=3)
    assert (finding.accepted, finding.lost) == (3, 2)


@pytest.mark.parametrize("state", [MessageState.QUEUED, MessageState.SENDING])
def test_a_message_that_waits_after_the_drain_is_unfinished_and_lost(state: MessageState) -> None:
    finding = found({"a": Row(MAILOUT, state)})
    assert (finding.unfinished, finding.lost) == (1, 1)
    assert "unfinished = 1" in finding.problems()


def test_a_message_that_arrived_but_is_not_settled_is_unfinished() -> None:
    finding = found({"a": Row(MAILOUT, MessageState.SENDING)}, "a")
    assert (finding.unfinished, finding.lost, finding.unrecorded) == (1, 0, 1)


def test_a_mail_that_nobody_asked_for_is_unexpected() -> None:
    finding = found({"a": SENT}, "a", "x")
    assert (finding.arrived, finding.unexpected) == (2, 1)
    assert "unexpected = 1" in finding.problems()


def test_a_mail_of_a_notification_that_was_not_acknowledged_is_unexpected() -> None:
    assert found({"a": Row(uuid4(), MessageState.SENT, accepted=1)}, "a", acknowledged=0).unexpected == 1


@pytest.mark.parametrize("state", [MessageState.SKIPPED, MessageState.CANCELLED])
def test_a_mail_that_policy_or_the_caller_forbade_is_unexpected(state: MessageState) -> None:
    assert found({"a": Row(MAILOUT, state)}).problems() == []
    assert found({"a": Row(MAILOUT, state)}, "a").unexpected == 1


def test_a_duplicate_that_no_uncertain_attempt_admits_is_unnamed() -> None:
    finding = found({"a": SENT}, "a", "a")
    assert (finding.duplicates, finding.unnamed) == (1, 1)
    assert "unnamed = 1" in finding.problems()


def test_a_duplicate_of_a_message_that_was_in_doubt_is_named() -> None:
    finding = found({"a": RESENT}, "a", "a")
    assert (finding.duplicates, finding.unnamed, finding.in_doubt) == (1, 0, 1)
    assert finding.problems(doubt_bound=1) == []


def test_a_third_mail_needs_a_second_doubt() -> None:
    assert found({"a": RESENT}, "a", "a", "a").unnamed == 1


def test_a_doubt_that_another_message_had_names_nothing() -> None:
    assert found({"a": SENT, "b": RESENT}, "a", "a", "b").unnamed == 1


def test_a_mail_without_an_attempt_is_unrecorded() -> None:
    finding = found({"a": Row(MAILOUT, MessageState.DEAD)}, "a", may_die="a")
    assert finding.unrecorded == 1


def test_a_sent_message_without_an_accepted_attempt_is_unrecorded() -> None:
    assert found({"a": Row(MAILOUT, MessageState.SENT, uncertain=1)}, "a").unrecorded == 1


def test_a_message_accepted_twice_by_its_own_record_is_unrecorded() -> None:
    assert found({"a": Row(MAILOUT, MessageState.SENT, accepted=2)}, "a").unrecorded == 1


def test_more_doubts_than_cut_hand_overs_are_a_problem() -> None:
    finding = found({"a": RESENT, "b": RESENT}, "a", "b")
    assert finding.problems() == []
    assert "only 1 hand-overs were cut" in finding.problems(doubt_bound=1)[0]


def test_only_who_may_die_may_be_dead() -> None:
    rows = {"a": Row(MAILOUT, MessageState.DEAD), "b": Row(MAILOUT, MessageState.DEAD)}
    finding = found(rows, may_die="a")
    assert (finding.dead, finding.wrongly_dead, finding.lost) == (1, 1, 0)
    assert "wrongly_dead = 1" in finding.problems()


def test_a_held_doubt_is_neither_lost_nor_unfinished() -> None:
    row = Row(MAILOUT, MessageState.IN_DOUBT, uncertain=1)
    assert found({"a": row}).problems(doubt_bound=1) == []
    assert found({"a": row}, "a").problems(doubt_bound=1) == []


NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def kill(seconds: float, *held: UUID) -> Kill:
    return Kill(at(seconds), 1, frozenset(held), len(held))


def test_recovery_lasts_until_the_last_held_message_is_sent() -> None:
    one, two = uuid4(), uuid4()
    assert after_kills([kill(0, one, two)], {one: at(3), two: at(31)}) == [31]


def test_a_message_held_by_a_later_victim_waits_from_there() -> None:
    one = uuid4()
    assert after_kills([kill(0, one), kill(20, one)], {one: at(50)}) == [20, 30]


def test_a_kill_that_held_nothing_up_is_recovered_from_at_once() -> None:
    assert after_kills([kill(0), kill(1, uuid4())], {}) == [0, 0]


def test_a_percentile_is_a_value_that_occurred() -> None:
    assert percentile(range(1, 101), 0.99) == 99
    assert percentile([7.0], 0.99) == 7.0
    assert percentile([], 0.99) is None
