"""May we, and when again: every rule of policy, and the bounds of its waits."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as some

from notify.errors import DeliveryError, Misconfigured, Rejected, Throttled, Transient, Uncertain
from notify.model import (
    Address,
    Channel,
    Decision,
    Defer,
    Kind,
    Lane,
    MessageState,
    Mode,
    OnDoubt,
    Preferences,
    Quiet,
    Recipient,
    Retry,
    Send,
    Skip,
    Suppression,
)
from notify.model.preferences import FOREVER
from notify.policy import (
    RetryPolicy,
    Rules,
    Verdict,
    after_failure,
    decide,
    expired,
    next_round,
    next_try,
    past,
    put_off,
)
from notify.policy.retry import MISCONFIGURED_WAIT, costs_attempt
from notify.settings import load

NOW = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)
KIND = Kind(
    name="news",
    title="News",
    category="newsletter",
    channels=(Channel.EMAIL,),
    lane=Lane.NORMAL,
    on_doubt=OnDoubt.HOLD,
    critical=False,
    version="1",
)
ADA = Recipient(
    id=UUID(int=1), key="ada", addresses={Channel.EMAIL: Address(Channel.EMAIL, "Ada@Example.org", verified=True)}
)
COMPLAINT = Suppression(Channel.EMAIL, "ada@example.org", reason="complained", source="feedback")
POLICY = RetryPolicy(attempts=5, base=timedelta(seconds=30), cap=timedelta(minutes=10))


def decided(
    *suppressions: Suppression,
    recipient: Recipient = ADA,
    channel: Channel = Channel.EMAIL,
    mode: Mode = Mode.LIVE,
    test_recipients: frozenset[str] = frozenset(),
    at: datetime | None = None,
) -> Decision:
    return decide(KIND, recipient, channel, suppressions, NOW, mode=mode, test_recipients=test_recipients, at=at)


def test_whoever_can_be_reached_and_said_nothing_against_it_is_written_to() -> None:
    assert decided() == Send()


def test_a_recipient_without_an_address_on_the_channel_is_skipped() -> None:
    assert decided(channel=Channel.SMS) == Skip("no_address", "recipient has no address for sms")


def test_an_address_suppressed_for_all_is_skipped_naming_why_and_by_whom() -> None:
    assert decided(COMPLAINT) == Skip("suppressed", "suppressed for all: complained (feedback)")


def test_an_address_suppressed_for_the_kinds_category_is_skipped() -> None:
    assert decided(replace(COMPLAINT, scope="newsletter")) == Skip(
        "suppressed", "suppressed for newsletter: complained (feedback)"
    )


def test_leaving_one_category_does_not_block_another() -> None:
    assert decided(replace(COMPLAINT, scope="marketing")) == Send()


def test_a_suppression_holds_until_it_expires_and_not_a_moment_longer() -> None:
    assert isinstance(decided(replace(COMPLAINT, expires_at=NOW + SECOND)), Skip)
    assert decided(replace(COMPLAINT, expires_at=NOW)) == Send()
    assert decided(replace(COMPLAINT, expires_at=NOW - SECOND)) == Send()


def test_a_suppression_of_another_channel_does_not_count() -> None:
    assert decided(replace(COMPLAINT, channel=Channel.SMS)) == Send()


def test_one_valid_suppression_among_others_is_enough() -> None:
    others = replace(COMPLAINT, scope="marketing"), replace(COMPLAINT, expires_at=NOW - SECOND)
    assert isinstance(decided(*others, replace(COMPLAINT, reason="unsubscribed")), Skip)


def test_mode_test_writes_to_nobody_but_the_test_recipients() -> None:
    assert decided(mode=Mode.TEST) == Skip("not_a_test_recipient", "mode test writes only to NOTIFY_TEST_RECIPIENTS")
    assert decided(mode=Mode.TEST, test_recipients=frozenset({"ada@example.org"})) == Send()


def test_a_test_recipient_who_is_suppressed_is_still_skipped() -> None:
    decision = decided(COMPLAINT, mode=Mode.TEST, test_recipients=frozenset({"ada@example.org"}))
    assert isinstance(decision, Skip)
    assert decision.reason == "suppressed"


def test_what_is_scheduled_waits_for_its_time() -> None:
    later = NOW + timedelta(hours=3)
    assert decided(at=later) == Defer(later, "scheduled", "send(at=…)")


@pytest.mark.parametrize("at", [NOW, NOW - timedelta(days=1)])
def test_a_time_that_has_come_defers_nothing(at: datetime) -> None:
    assert decided(at=at) == Send()


def test_who_is_suppressed_is_skipped_at_once_however_late_it_was_scheduled() -> None:
    assert isinstance(decided(COMPLAINT, at=NOW + timedelta(days=1)), Skip)


@pytest.mark.parametrize(
    ("suppressions", "at"), [((), None), ((COMPLAINT,), None), ((), NOW + timedelta(hours=1))], ids=str
)
def test_a_dry_run_is_decided_as_if_it_were_live(suppressions: tuple[Suppression, ...], at: datetime | None) -> None:
    assert decided(*suppressions, mode=Mode.DRY_RUN, at=at) == decided(*suppressions, at=at)


# when again

draws = some.floats(min_value=0, max_value=1, exclude_max=True)
retriable = some.sampled_from([Transient, Throttled, Uncertain])


@given(error=retriable, attempt=some.integers(1, 4), draw=draws)
def test_a_wait_lies_between_nothing_and_its_ceiling(error: type[DeliveryError], attempt: int, draw: float) -> None:
    again = next_try(error("busy"), attempt, NOW, POLICY, draw)
    assert again is not None
    assert timedelta() <= again - NOW <= min(POLICY.base * 2 ** (attempt - 1), POLICY.cap)


@given(attempt=some.integers(1, 10**9), draw=draws)
def test_no_wait_passes_the_cap_however_often_it_was_tried(attempt: int, draw: float) -> None:
    again = next_try(Throttled("slow_down"), attempt, NOW, POLICY, draw)
    assert again is not None
    assert again - NOW <= POLICY.cap


@given(asked=some.floats(0, 86_400), attempt=some.integers(1, 4), draw=draws)
def test_a_wait_that_the_provider_asks_for_is_honoured(asked: float, attempt: int, draw: float) -> None:
    again = next_try(Transient("greylisted", retry_after=asked), attempt, NOW, POLICY, draw)
    unasked = next_try(Transient("greylisted"), attempt, NOW, POLICY, draw)
    assert again is not None
    assert unasked is not None
    assert again - NOW >= timedelta(seconds=asked)
    assert abs(again - unasked - timedelta(seconds=asked)) <= timedelta(microseconds=2)


def test_the_ceiling_doubles_until_the_cap() -> None:
    almost_one = 1 - 2**-53
    waits = [next_try(Throttled("slow_down"), attempt, NOW, POLICY, almost_one) for attempt in range(1, 8)]
    assert [round((again - NOW).total_seconds()) for again in waits if again] == [30, 60, 120, 240, 480, 600, 600]


def test_a_longer_asked_wait_than_the_cap_is_still_honoured() -> None:
    again = next_try(Throttled("slow_down", retry_after=7200), 1, NOW, POLICY, 0.0)
    assert again == NOW + timedelta(hours=2)


def test_the_same_draw_gives_the_same_time() -> None:
    first, second = (next_try(Transient("busy"), 3, NOW, POLICY, 0.25) for _ in range(2))
    assert first == second == NOW + timedelta(seconds=30)


@pytest.mark.parametrize("error", [Transient("busy"), Uncertain("no_answer")])
def test_a_message_dies_after_its_last_attempt(error: DeliveryError) -> None:
    assert next_try(error, POLICY.attempts - 1, NOW, POLICY, 0.5) is not None
    assert next_try(error, POLICY.attempts, NOW, POLICY, 0.5) is None
    assert next_try(error, POLICY.attempts + 1, NOW, POLICY, 0.5) is None


@pytest.mark.parametrize("error", [Throttled("slow_down"), Misconfigured("bad_credentials")])
def test_what_is_not_the_messages_fault_never_kills_it(error: DeliveryError) -> None:
    assert next_try(error, 1000, NOW, POLICY, 0.5) is not None


@pytest.mark.parametrize("scope", ["address", "message"])
def test_a_rejected_message_is_dead_at_once(scope: str) -> None:
    error = Rejected("mailbox_unknown", scope="address" if scope == "address" else "message")
    assert next_try(error, 1, NOW, POLICY, 0.5) is None


@given(attempt=some.integers(1, 100), draw=draws)
def test_a_misconfigured_provider_is_asked_again_at_a_steady_pace(attempt: int, draw: float) -> None:
    assert next_try(Misconfigured("bad_credentials"), attempt, NOW, POLICY, draw) == NOW + MISCONFIGURED_WAIT


@pytest.mark.parametrize(
    ("error", "costs"),
    [
        (Transient("x"), True),
        (Rejected("x"), True),
        (Uncertain("x"), True),
        (Throttled("x"), False),
        (Misconfigured("x"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, DeliveryError) else "",
)
def test_only_what_the_message_or_the_line_is_guilty_of_costs_an_attempt(error: DeliveryError, costs: bool) -> None:
    assert costs_attempt(error) is costs


def test_a_message_that_fails_all_the_time_is_tried_for_most_of_a_day() -> None:
    policy, now, tries = RetryPolicy(), NOW, 1
    while (again := next_try(Transient("busy"), tries, now, policy, 0.5)) is not None:
        now, tries = again, tries + 1
    assert tries == policy.attempts
    assert timedelta(hours=4) < now - NOW < timedelta(hours=24)


# what a kind says of its retries


def test_what_a_kind_does_not_say_follows_the_settings() -> None:
    settings = load(env_file=None, retry_attempts=7, retry_base_seconds=20, retry_cap_seconds=600)
    theirs = RetryPolicy(7, timedelta(seconds=20), timedelta(minutes=10))
    assert RetryPolicy.of(None, settings) == RetryPolicy.of(Retry(), settings) == theirs
    assert RetryPolicy.of(Retry(attempts=2), settings) == replace(theirs, attempts=2)
    assert RetryPolicy.of(Retry(base=SECOND), settings) == replace(theirs, base=SECOND)
    assert RetryPolicy.of(Retry(cap=SECOND), settings) == replace(theirs, cap=SECOND)


def test_the_settings_longest_wait_does_not_cut_a_kinds_own_first() -> None:
    settings = load(env_file=None, retry_cap_seconds=600)
    assert RetryPolicy.of(Retry(base=timedelta(hours=1)), settings).cap == timedelta(hours=1)


# deadlines

errors = some.builds(
    lambda kind, wait: kind("busy", retry_after=wait),
    some.sampled_from([Transient, Throttled, Uncertain, Misconfigured]),
    some.none() | some.floats(0, 7200),
)
deadlines = some.timedeltas(timedelta(days=-1), timedelta(days=1)).map(lambda span: NOW + span)


@given(error=errors, attempt=some.integers(1, 20), draw=draws, deadline=deadlines)
def test_nothing_waits_until_its_deadline_nor_is_tried_in_the_past(
    error: DeliveryError, attempt: int, draw: float, deadline: datetime
) -> None:
    unbound = after_failure(error, attempt, NOW, POLICY, draw, on_doubt=OnDoubt.RESEND)
    bound = unbound.within(deadline)
    if bound.state is MessageState.QUEUED:
        assert bound == unbound
        assert bound.due_at is not None
        assert NOW <= bound.due_at < deadline
    else:
        assert bound.state is MessageState.DEAD
        assert (bound.reason == "expired") is (unbound.state is MessageState.QUEUED)
    assert bound.tried is unbound.tried


@given(error=errors, draw=draws, deadline=deadlines)
def test_what_is_put_off_costs_nothing_and_does_not_wait_until_its_deadline(
    error: DeliveryError, draw: float, deadline: datetime
) -> None:
    waits = put_off(next_round(error, NOW, draw), error.reason, "smtp is away").within(deadline)
    assert waits.tried is False
    assert waits.due_at is None or NOW < waits.due_at < deadline


@given(attempt=some.integers(1, 1000), draw=draws)
def test_throttling_costs_no_attempt_however_often_it_happens(attempt: int, draw: float) -> None:
    judged = after_failure(Throttled("slow_down"), attempt, NOW, POLICY, draw, on_doubt=OnDoubt.HOLD)
    assert (judged.state, judged.tried) == (MessageState.QUEUED, False)


def test_the_rule_names_the_deadline_and_the_try_that_would_come_too_late() -> None:
    late = after_failure(Transient("connection_refused"), 1, NOW, POLICY, 0.5, on_doubt=OnDoubt.HOLD)
    assert late.within(NOW + 10 * SECOND) == Verdict(
        MessageState.DEAD,
        "expired",
        "deadline 2026-03-29 00:30:10 UTC: the next try would come at 2026-03-29 00:30:16 (connection_refused)",
    )


def test_a_deadline_changes_nothing_of_what_is_over_or_held() -> None:
    refused = after_failure(Rejected("spam"), 1, NOW, POLICY, 0.5, on_doubt=OnDoubt.RESEND)
    held = after_failure(Uncertain("no_answer"), 1, NOW, POLICY, 0.5, on_doubt=OnDoubt.HOLD)
    assert (refused.within(NOW), held.within(NOW)) == (refused, held)
    assert (refused.reason, held.state) == ("spam", MessageState.IN_DOUBT)


def test_a_deadline_has_passed_from_its_very_moment_on() -> None:
    assert not past(None, NOW)
    assert not past(NOW + SECOND, NOW)
    assert past(NOW, NOW)
    assert expired(NOW).rule == "deadline 2026-03-29 00:30:00 UTC has passed"


# wishes, verification and consent

DAY = timedelta(days=1)
CONSENT = UUID(int=7)


def wished(
    *,
    chosen: bool | None = None,
    default: bool | None = None,
    paused_until: datetime | None = None,
    active: bool = True,
    verified: bool = True,
    require_verified: bool = False,
    **facts: Any,
) -> str:
    """The reason why ADA gets nothing, or `sent`."""

    def said(choice: bool | None) -> dict[str, dict[Channel, bool]]:
        return {} if choice is None else {"newsletter": {Channel.EMAIL: choice}}

    ada = replace(
        ADA,
        addresses={Channel.EMAIL: Address(Channel.EMAIL, "ada@example.org", verified=verified)},
        preferences=Preferences(choices=said(chosen), paused_until=paused_until),
        active=active,
    )
    rules = Rules(Preferences(choices=said(default)), require_verified=require_verified)
    decision = decide(replace(KIND, **facts), ada, Channel.EMAIL, (), NOW, rules=rules)
    return decision.reason if isinstance(decision, Skip) else "sent"


@pytest.mark.parametrize("default", [None, True, False])
@pytest.mark.parametrize("chosen", [None, True, False])
@pytest.mark.parametrize("required", [True, False])
def test_the_recipients_choice_counts_then_the_default_then_yes(
    chosen: bool | None, default: bool | None, required: bool
) -> None:
    wanted = chosen if chosen is not None else default is not False
    expected = "sent" if required or wanted else "preference"
    assert wished(chosen=chosen, default=default, required=required) == expected


def test_a_rule_says_who_turned_it_off() -> None:
    off = Preferences(choices={"newsletter": {Channel.EMAIL: False}})
    by_ada = decide(KIND, replace(ADA, preferences=off), Channel.EMAIL, (), NOW)
    by_default = decide(KIND, ADA, Channel.EMAIL, (), NOW, rules=Rules(off))
    assert by_ada == Skip("preference", "newsletter is turned off for email by the recipient")
    assert by_default == Skip("preference", "newsletter is turned off for email by default")


def test_a_choice_about_another_category_or_channel_changes_nothing() -> None:
    other = Preferences(choices={"jobs": {Channel.EMAIL: False}, "newsletter": {Channel.SMS: False}})
    assert decide(KIND, replace(ADA, preferences=other), Channel.EMAIL, (), NOW) == Send()


def test_a_pause_holds_back_all_but_what_is_required_until_it_ends() -> None:
    assert wished(paused_until=NOW + SECOND) == "paused"
    assert wished(paused_until=NOW + SECOND, required=True) == "sent"
    assert wished(paused_until=NOW) == "sent"


def test_a_pause_without_end_says_so() -> None:
    ada = replace(ADA, preferences=Preferences(paused_until=FOREVER))
    assert decide(KIND, ada, Channel.EMAIL, (), NOW) == Skip(
        "paused", "everything is paused until the recipient resumes"
    )


def test_being_critical_is_no_way_around_a_pause() -> None:
    assert wished(paused_until=NOW + DAY, critical=True) == "paused"


def test_who_was_deactivated_gets_what_is_required_and_nothing_else() -> None:
    assert wished(active=False) == "inactive"
    assert wished(active=False, required=True) == "sent"


@pytest.mark.parametrize("verified", [True, False])
@pytest.mark.parametrize("require_verified", [True, False])
@pytest.mark.parametrize("onboarding", [True, False])
@pytest.mark.parametrize("required", [True, False])
def test_an_unverified_address_gets_onboarding_kinds_alone(
    verified: bool, require_verified: bool, onboarding: bool, required: bool
) -> None:
    allowed = verified or not require_verified or onboarding
    found = wished(verified=verified, require_verified=require_verified, onboarding=onboarding, required=required)
    assert found == ("sent" if allowed else "unverified")


def test_a_kind_that_asks_for_consent_goes_to_those_alone_who_agreed() -> None:
    kind = replace(KIND, consent=True)
    assert decide(kind, ADA, Channel.EMAIL, (), NOW, consent=CONSENT) == Send()
    assert decide(kind, ADA, Channel.EMAIL, (), NOW) == Skip(
        "no_consent", "the recipient never agreed to newsletter, or withdrew it"
    )


@pytest.mark.parametrize(("chosen", "expected"), [(None, "sent"), (True, "sent"), (False, "preference")])
def test_who_agreed_gets_it_though_the_default_is_no_but_may_still_turn_it_off(
    chosen: bool | None, expected: str
) -> None:
    kind = replace(KIND, consent=True)
    choices = {} if chosen is None else {"newsletter": {Channel.EMAIL: chosen}}
    ada = replace(ADA, preferences=Preferences(choices=choices))
    off = Rules(Preferences(choices={"newsletter": {Channel.EMAIL: False}}))
    decision = decide(kind, ada, Channel.EMAIL, (), NOW, rules=off, consent=CONSENT)
    assert (decision.reason if isinstance(decision, Skip) else "sent") == expected


def test_nothing_that_is_required_or_agreed_to_goes_past_a_bounce() -> None:
    for kind in (replace(KIND, required=True), replace(KIND, consent=True)):
        decision = decide(kind, ADA, Channel.EMAIL, [replace(COMPLAINT, reason="bounced")], NOW, consent=CONSENT)
        assert isinstance(decision, Skip)
        assert decision.reason == "suppressed"


@pytest.mark.parametrize("reason", ["unsubscribed", "complained"])
def test_what_is_required_goes_past_the_persons_own_word_and_nothing_else_does(reason: str) -> None:
    said = [replace(COMPLAINT, reason=reason)]
    assert isinstance(decide(replace(KIND, required=True), ADA, Channel.EMAIL, said, NOW), Send)
    assert isinstance(decide(replace(KIND, critical=True), ADA, Channel.EMAIL, said, NOW), Skip)
    bounced = [*said, replace(COMPLAINT, reason="bounced")]
    assert isinstance(decide(replace(KIND, required=True), ADA, Channel.EMAIL, bounced, NOW), Skip)


def test_leaving_the_newsletter_does_not_block_a_password_reset() -> None:
    left = replace(COMPLAINT, scope="newsletter", reason="unsubscribed")
    reset = replace(KIND, name="password-reset", category="account", required=True)
    assert isinstance(decided(left), Skip)
    assert decide(reset, ADA, Channel.EMAIL, [left], NOW) == Send()


def test_preferences_survive_the_form_in_which_they_are_kept() -> None:
    chosen = Preferences({"jobs": {Channel.EMAIL: False}}, Quiet.parse("22:00-07:00"), FOREVER, NOW)
    assert Preferences.of_json(json.loads(json.dumps(chosen.as_json()))) == chosen
    assert Preferences().as_json() == {}
    assert Preferences.of_json({}) == Preferences()
