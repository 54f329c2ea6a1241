"""How long a kind is worth sending: what kind.toml may say of it, and how a mistake is named."""

from __future__ import annotations

from datetime import timedelta

import pytest

from notify.errors import InvalidKind
from notify.model import Channel, Retry
from notify.rates import Rate
from tests.unit.kinds.conftest import Workshop

MINUTE = timedelta(minutes=1)


def test_a_kind_that_says_nothing_leaves_all_to_the_settings(workshop: Workshop) -> None:
    workshop.kind()
    facts = workshop.load().facts
    assert (facts.retry, facts.expires, facts.recipient_rate) == ({}, None, None)


def test_a_kind_says_how_long_it_is_worth_sending(workshop: Workshop) -> None:
    workshop.kind(toml='expires = "5m"\nrecipient_rate = "10/m"')
    facts = workshop.load().facts
    assert (facts.expires, facts.recipient_rate) == (5 * MINUTE, Rate(10, 60))


def test_retries_hold_for_every_channel(workshop: Workshop) -> None:
    workshop.kind(toml='[retry]\nattempts = 4\nfirst_wait = "10s"\nlongest_wait = "2m"')
    assert workshop.load().facts.retry == {Channel.EMAIL: Retry(4, timedelta(seconds=10), 2 * MINUTE)}


def test_a_channel_of_its_own_says_only_what_differs(workshop: Workshop) -> None:
    workshop.kind(toml='[retry]\nattempts = 4\nfirst_wait = "10s"\n[retry.email]\nfirst_wait = "1m"')
    assert workshop.load().facts.retry == {Channel.EMAIL: Retry(4, MINUTE, None)}


def test_retries_may_stand_on_one_line(workshop: Workshop) -> None:
    workshop.kind(toml='retry = { attempts = 4, email = { longest_wait = "1h" } }')
    assert workshop.load().facts.retry == {Channel.EMAIL: Retry(4, None, 60 * MINUTE)}


@pytest.mark.parametrize(
    ("toml", "complaint"),
    [
        ("expires = 300", "kind.toml:4: expires: write a duration as a whole number of s, m, h or d"),
        ('expires = "5 minutes"', "kind.toml:4: expires: write a duration"),
        ('expires = "0m"', "kind.toml:4: expires: write a duration"),
        ("expires = true", "such as 30s or 5m, not 'True'"),
        ('expire = "5m"', "kind.toml:4: expire is not a key of kind.toml; did you mean 'expires'?"),
        ('recipient_rate = "10"', "kind.toml:4: recipient_rate: write a rate as a number per s, m, h or d"),
        ("recipient_rate = 10", "kind.toml:4: recipient_rate: write a rate"),
        ("retry = 3", "kind.toml:4: retry must be a table, not int"),
        ("[retry]\natempts = 3", "kind.toml:5: atempts is not a key of [retry]; did you mean 'attempts'?"),
        ("retry = { atempts = 3 }", "kind.toml:4: atempts is not a key of [retry]; did you mean 'attempts'?"),
        ("[retry.sms]\nattempts = 3", "kind.toml:4: sms is not a key of [retry]; it holds attempts, first_wait,"),
        ("[retry]\nemail = 3", "kind.toml:5: email must be a table: write [retry.email]"),
        (
            '[retry.email]\nlongst_wait = "1h"',
            "kind.toml:5: longst_wait is not a key of [retry.email]; did you mean 'longest_wait'?",
        ),
        ("[retry]\nattempts = 0", "kind.toml:5: attempts must be a whole number from 1 to 1000, not 0"),
        ("[retry]\nattempts = true", "kind.toml:5: attempts must be a whole number from 1 to 1000, not True"),
        ('[retry]\nattempts = "3"', "kind.toml:5: attempts must be a whole number from 1 to 1000, not '3'"),
        ('[retry]\nfirst_wait = "2d"', "kind.toml:5: first_wait is at most 1d, not '2d'"),
        ('[retry]\nlongest_wait = "8d"', "kind.toml:5: longest_wait is at most 7d, not '8d'"),
        (
            '[retry]\nfirst_wait = "1h"\nlongest_wait = "1m"',
            "kind.toml:6: longest_wait (1m) is shorter than first_wait (1h)",
        ),
        (
            '[retry]\nlongest_wait = "1m"\n[retry.email]\nfirst_wait = "1h"',
            "kind.toml:7: longest_wait (1m) is shorter than first_wait (1h)",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(workshop: Workshop, toml: str, complaint: str) -> None:
    workshop.kind(toml=toml)
    with pytest.raises(InvalidKind) as caught:
        workshop.load()
    assert complaint in str(caught.value)
