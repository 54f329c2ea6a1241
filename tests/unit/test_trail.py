"""The trail of a decision names the rule that made it, whatever the recipient and the kind are like."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from notify.model import (
    Address,
    Channel,
    Kind,
    Lane,
    Mode,
    OnDoubt,
    OnQuiet,
    Preferences,
    Quiet,
    Recipient,
    Send,
    Suppression,
)
from notify.policy import Rules, decide, trail

NOW = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)
LATER = st.sampled_from([None, NOW - timedelta(hours=1), NOW + timedelta(hours=1), NOW + timedelta(days=2)])
QUIET = st.sampled_from([None, Quiet(time(22), time(7)), Quiet(time(9), time(10))])
CHOICES = st.sampled_from([{}, {"test": {Channel.EMAIL: False}}, {"test": {Channel.EMAIL: True}}])
PREFERENCES = st.builds(Preferences, CHOICES, QUIET, LATER, LATER)
KINDS = st.builds(
    Kind,
    *(st.just("hello"), st.just("Hello"), st.just("test"), st.just((Channel.EMAIL,)), st.just(Lane.NORMAL)),
    *(st.just(OnDoubt.RESEND), st.booleans(), st.just("v1")),
    required=st.booleans(),
    consent=st.booleans(),
    onboarding=st.booleans(),
    quiet=st.sampled_from(OnQuiet),
)
ADDRESSES = st.sampled_from(
    [{}, *({Channel.EMAIL: Address(Channel.EMAIL, "a@b.org", known)} for known in (True, False))]
)
PEOPLE = st.builds(
    Recipient,
    *(st.just(UUID(int=1)), st.just("ada"), st.none(), st.sampled_from([None, "Asia/Kolkata"])),
    addresses=ADDRESSES,
    preferences=PREFERENCES,
    active=st.booleans(),
)
SUPPRESSIONS = st.lists(
    st.builds(
        Suppression,
        *(st.sampled_from([Channel.EMAIL, Channel.SMS]), st.just("a@b.org"), st.just("bounced"), st.just("feedback")),
        scope=st.sampled_from(["all", "test", "other"]),
        expires_at=LATER,
    ),
    max_size=3,
)
RULES = st.builds(Rules, PREFERENCES, st.booleans())


@settings(max_examples=500, deadline=None)
@given(
    st.tuples(KINDS, PEOPLE, SUPPRESSIONS, st.sampled_from(Mode), LATER, RULES, st.sampled_from([None, UUID(int=2)]))
)
def test_the_trail_comes_to_what_was_decided_and_names_the_one_rule_that_decided_it(drawn: tuple[Any, ...]) -> None:
    kind, person, against, mode, at, rules, consent = drawn
    asked = (kind, person, Channel.EMAIL, against, NOW)
    said: dict[str, Any] = {"mode": mode, "at": at, "rules": rules, "consent": consent}
    decision = decide(*asked, **said)
    found = trail(*asked, **said)
    assert found.decision == decision
    assert [looked.decision for looked in found.looked if looked.decides] == (
        [] if isinstance(decision, Send) else [decision]
    )
    assert all(looked.says for looked in found.looked)
