"""The order in which a message tries providers, and which errors let it go to the next."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from notify.channels import Channels
from notify.delivery.route import Choices, passes_on
from notify.errors import DeliveryError, Misconfigured, Rejected, Throttled, Transient, Uncertain
from notify.model import Channel

IDS = [uuid7() for _ in range(20_000)]


def choices(*urls: str) -> Choices:
    return Choices(Channels.from_urls(email=urls, secret="s").providers(Channel.EMAIL))


def first(found: Choices) -> Counter[str]:
    return Counter(found.order(one)[0].name for one in IDS)


def order(found: Choices, message_id: UUID) -> list[str]:
    return [one.name for one in found.order(message_id)]


def test_without_options_providers_are_tried_as_they_are_listed() -> None:
    found = choices("smtp://a?name=a", "smtp://b?name=b", "smtp://c?name=c")
    assert found.alike
    assert {tuple(order(found, one)) for one in IDS[:100]} == {("a", "b", "c")}


def test_weights_spread_the_first_choice_and_failover_follows_the_list() -> None:
    found = choices("smtp://a?name=a", "smtp://b?name=b&weight=3")
    counted = first(found)
    assert 0.73 < counted["b"] / len(IDS) < 0.77
    assert {tuple(order(found, one)) for one in IDS} == {("a", "b"), ("b", "a")}


def test_a_share_is_fixed_and_the_rest_goes_to_the_first_of_the_others() -> None:
    found = choices("smtp://new?name=new&share=5%", "smtp://a?name=a", "smtp://b?name=b")
    counted = first(found)
    assert 0.04 < counted["new"] / len(IDS) < 0.06
    assert set(counted) == {"new", "a"}
    assert {tuple(order(found, one)) for one in IDS} == {("new", "a", "b"), ("a", "new", "b")}


def test_weights_divide_what_shares_leave() -> None:
    counted = first(choices("smtp://n?name=n&share=20%25", "smtp://a?name=a&weight=1", "smtp://b?name=b&weight=1"))
    assert all(abs(counted[name] / len(IDS) - part) < 0.02 for name, part in (("n", 0.2), ("a", 0.4), ("b", 0.4)))


def test_shares_of_a_hundred_percent_leave_nothing() -> None:
    counted = first(choices("smtp://a?name=a&share=50%", "smtp://b?name=b&share=50%", "smtp://c?name=c"))
    assert set(counted) == {"a", "b"}


def test_a_message_has_the_same_order_on_every_try() -> None:
    urls = ("smtp://a?name=a&weight=1", "smtp://b?name=b&weight=1")
    assert [order(choices(*urls), one) for one in IDS[:500]] == [order(choices(*urls), one) for one in IDS[:500]]


@pytest.mark.parametrize(
    ("error", "goes_on"),
    [
        (Transient("body_deferred"), True),
        (Transient("mailbox_full", scope="message"), False),
        (Throttled("rate_limited"), True),
        (Misconfigured("auth_refused"), True),
        (Rejected("mailbox_unknown", scope="address"), False),
        (Uncertain("body_timeout"), False),
    ],
)
def test_only_what_is_proven_not_accepted_by_the_providers_fault_goes_to_another(
    error: DeliveryError, goes_on: bool
) -> None:
    assert passes_on(error) is goes_on
