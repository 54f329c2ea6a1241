"""What came back, in any order, leads to one state and one score."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.errors import Rejected
from notify.model import TRANSITIONS, BounceClass, EventType, MessageState
from notify.policy import Verdict, aftermath
from notify.policy.aftermath import HALF_LIFE, Score, Step, counted, follows
from notify.policy.outcome import FED, PROVES, WAY, fold, steps

NOW = datetime(2026, 5, 1, tzinfo=UTC)
TYPES = st.lists(st.sampled_from(EventType), max_size=8)


@given(st.sampled_from(MessageState), TYPES.flatmap(lambda told: st.tuples(st.just(told), st.permutations(told))))
def test_any_order_of_events_ends_in_the_same_state(
    was: MessageState, orders: tuple[list[EventType], list[EventType]]
) -> None:
    told, shuffled = orders
    assert fold(was, told) is fold(was, shuffled)
    assert fold(fold(was, told), shuffled) is fold(was, told), "told again, nothing changes"


@given(st.sampled_from(FED), TYPES)
def test_a_message_only_moves_forward_and_by_steps_that_are_known(was: MessageState, told: list[EventType]) -> None:
    state = fold(was, told)
    if was in WAY:
        assert WAY.index(state) >= WAY.index(was)
    taken = (was, *steps(was, state))
    assert taken[-1] is state
    assert all(after in TRANSITIONS[before] for before, after in pairwise(taken))


@pytest.mark.parametrize("was", sorted(set(MessageState) - set(FED)))
def test_what_is_not_sent_yet_or_never_will_be_is_left_alone(was: MessageState) -> None:
    assert fold(was, EventType) is was


def test_every_event_proves_something() -> None:
    assert set(PROVES) == set(EventType)


@pytest.mark.parametrize("bounce", [BounceClass.BLOCK, BounceClass.CONTENT, BounceClass.OTHER, None])
def test_what_is_about_the_sender_or_the_mail_never_touches_the_person(bounce: BounceClass | None) -> None:
    assert follows(EventType.BOUNCED, bounce) is None


def test_something_follows_from_a_dead_address_a_full_one_a_complaint_and_an_unsubscribe_alone() -> None:
    assert follows(EventType.BOUNCED, BounceClass.HARD) is Step.SUPPRESS_DEAD
    assert follows(EventType.BOUNCED, BounceClass.SOFT) is Step.COUNT
    assert follows(EventType.COMPLAINED, None) is Step.SUPPRESS_COMPLAINED
    assert follows(EventType.UNSUBSCRIBED, None) is Step.LEAVE
    silent = set(EventType) - {EventType.BOUNCED, EventType.COMPLAINED, EventType.UNSUBSCRIBED}
    assert {follows(one, None) for one in silent} == {None}
    assert follows(EventType.AUTO_REPLIED, BounceClass.HARD) is None


@pytest.mark.parametrize("reason", ["recipient_suppressed", "address_suppressed", "recipient_rejected"])
def test_a_refusal_that_does_not_say_why_condemns_nobody(reason: str) -> None:
    condemned = Rejected("mailbox_unknown", scope="address")
    assert aftermath.refused(condemned, Verdict(MessageState.DEAD, "mailbox_unknown", "")) is BounceClass.HARD
    listed = Rejected(reason, "who bounced, complained or left", scope="address")
    assert aftermath.refused(listed, Verdict(MessageState.DEAD, reason, "")) is None


MOMENTS = st.lists(st.timedeltas(timedelta(0), timedelta(days=400)), min_size=1, max_size=8)


@given(MOMENTS.flatmap(lambda told: st.tuples(st.just(told), st.permutations(told))))
def test_soft_bounces_weigh_the_same_in_any_order(orders: tuple[list[timedelta], list[timedelta]]) -> None:
    def weight(moments: list[timedelta]) -> float:
        score: Score | None = None
        for moment in moments:
            score = counted(score, NOW + moment)
        assert score is not None
        return score.weighed(NOW + timedelta(days=400))

    assert weight(orders[0]) == pytest.approx(weight(orders[1]))


def test_a_soft_bounce_weighs_no_more_before_its_own_time() -> None:
    assert counted(None, NOW).weighed(NOW - 20 * HALF_LIFE) == 1


def test_a_soft_bounce_weighs_half_after_each_half_life() -> None:
    assert counted(None, NOW).weighed(NOW + 2 * HALF_LIFE) == pytest.approx(0.25)
    assert aftermath.SOFT_FOR > HALF_LIFE, "what made an address rest weighs less when it may be used again"
