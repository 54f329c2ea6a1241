"""The words of the model: complete, inert, and the state machine without holes."""

from __future__ import annotations

import dataclasses
import inspect
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from notify import model
from notify.model import (
    TRANSITIONS,
    Address,
    Batch,
    Channel,
    Kind,
    Lane,
    MessageState,
    OnDoubt,
    Recipient,
    Suppression,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
FIRST = {MessageState.QUEUED, MessageState.SKIPPED}  # what planning writes
FINAL = {MessageState.COMPLAINED, MessageState.SKIPPED, MessageState.CANCELLED}
CLASSES = [one for name in model.__all__ if inspect.isclass(one := getattr(model, name))]
RECORDS = [one for one in CLASSES if dataclasses.is_dataclass(one)]


def test_transitions_name_every_state() -> None:
    assert set(TRANSITIONS) == set(MessageState)


def test_every_state_can_be_reached_from_planning() -> None:
    reached, fresh = set[MessageState](), set(FIRST)
    while fresh:
        reached |= fresh
        fresh = {after for state in fresh for after in TRANSITIONS[state]} - reached
    assert reached == set(MessageState)


def test_only_what_is_over_leads_nowhere() -> None:
    assert {state for state, after in TRANSITIONS.items() if not after} == FINAL


def test_no_state_follows_itself() -> None:
    assert [state for state, after in TRANSITIONS.items() if state in after] == []


def test_nothing_that_was_sent_is_ever_queued_again() -> None:
    after_hand_over, fresh = set[MessageState](), {MessageState.SENT}
    while fresh:
        after_hand_over |= fresh
        fresh = {after for state in fresh for after in TRANSITIONS[state]} - after_hand_over
    assert MessageState.QUEUED not in after_hand_over
    assert MessageState.SENDING not in after_hand_over


def test_only_the_worker_that_has_taken_a_message_can_say_it_was_sent() -> None:
    before = {state for state, after in TRANSITIONS.items() if MessageState.SENT in after}
    assert before == {MessageState.SENDING, MessageState.IN_DOUBT}


def test_transitions_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        TRANSITIONS[MessageState.SENT] = frozenset()  # type: ignore[index]


@pytest.mark.parametrize("record", RECORDS, ids=lambda one: str(one.__name__))
def test_records_are_frozen_and_hold_nothing_undeclared(record: type) -> None:
    parameters = record.__dataclass_params__  # type: ignore[attr-defined]
    assert parameters.frozen
    assert "__slots__" in vars(record)


@pytest.mark.parametrize("one", CLASSES, ids=lambda one: str(one.__name__))
def test_each_word_says_what_it_means(one: type) -> None:
    assert not (inspect.getdoc(one) or "").startswith(f"{one.__name__}("), "a docstring of its own"


@pytest.mark.parametrize("lane", Lane)
def test_a_batch_knows_the_queue_that_carries_its_id(lane: Lane) -> None:
    batch = Batch(UUID(int=1), UUID(int=2), Channel.WEB_PUSH, lane, NOW)
    assert batch.queue == f"web_push.{lane.value}"


def test_addresses_are_compared_without_case() -> None:
    one, other = Address(Channel.EMAIL, "Ada@Example.ORG"), Address(Channel.EMAIL, "ada@example.org")
    assert one.folded == other.folded
    assert one != other, "what is shown stays as it was written"


def a_kind(category: str, *, name: str = "news", required: bool = False) -> Kind:
    facts = (name, "News", category, (Channel.EMAIL,), Lane.NORMAL, OnDoubt.RESEND, False, "1")
    return Kind(*facts, required=required)


def test_a_suppression_covers_its_scope_while_it_lasts() -> None:
    news, code = a_kind("newsletter"), a_kind("account")
    everything = Suppression(Channel.EMAIL, "ada@example.org", "bounced", "feedback")
    newsletter = dataclasses.replace(everything, scope="newsletter", expires_at=NOW + timedelta(days=1))
    assert everything.covers(code, NOW)
    assert newsletter.covers(news, NOW)
    assert not newsletter.covers(code, NOW)
    assert not newsletter.covers(news, NOW + timedelta(days=1))


@pytest.mark.parametrize("scope", ["all", "account", "kind:new-password"])
@pytest.mark.parametrize(
    ("reason", "covered"), [("unsubscribed", False), ("complained", False), ("bounced", True), ("manual", True)]
)
def test_no_word_of_the_persons_own_covers_what_is_required(scope: str, reason: str, covered: bool) -> None:
    required = a_kind("account", name="new-password", required=True)
    assert Suppression(Channel.EMAIL, "ada@example.org", reason, "page", scope).covers(required, NOW) is covered


def test_templates_see_a_recipients_fields_even_where_attributes_have_the_same_names() -> None:
    ada = Recipient(
        UUID(int=1),
        "ada",
        locale="nl",
        timezone="Europe/Amsterdam",
        tags=("vip",),
        attributes={"name": "Ada", "key": "another", "address": "elsewhere"},
    )
    assert ada.template_facts("ada@example.org") == {
        "name": "Ada",
        "key": "ada",
        "locale": "nl",
        "timezone": "Europe/Amsterdam",
        "address": "ada@example.org",
        "tags": ("vip",),
    }
