"""A List-Unsubscribe token names one message and its recipient, and nobody else can make one."""

from __future__ import annotations

import email
import email.policy
import string
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.audience import links
from notify.channels.email import letter
from notify.channels.email.unsubscribe import Subscription, token, verify
from notify.model import Mode
from notify.settings import load

SECRET = "s" * 32
MESSAGE, RECIPIENT = UUID(int=2**127 + 1), UUID(int=7)
TOKEN = token(SECRET, MESSAGE, RECIPIENT)


def headers(recipient: UUID | None, url: str | None = "https://app.example.org/u") -> dict[str, str]:
    settings = load(env_file=None, unsubscribe_url=url, secret_key=SECRET)
    content = letter.envelope(
        settings,
        message_id=MESSAGE,
        address="ada@example.org",
        name="Ada",
        subject="Hello",
        html=None,
        text="Hello",
        date=datetime(2026, 3, 1, tzinfo=UTC),
        mode=Mode.LIVE,
        unsubscribe_url=links.url(settings, "unsubscribe", token(SECRET, MESSAGE, recipient)) if recipient else None,
    ).content
    found = email.message_from_bytes(content, policy=email.policy.default)
    return {name: str(value) for name, value in found.items() if name.startswith("List-")}


@given(st.uuids(), st.uuids(), st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_a_token_names_its_message_and_recipient(message: UUID, recipient: UUID, secret: str) -> None:
    made = token(secret, message, recipient)
    assert set(made) <= set(string.ascii_letters + string.digits + "-_.")
    assert verify(secret, made) == Subscription(message, recipient)


def test_the_same_message_has_the_same_token() -> None:
    assert token(SECRET, MESSAGE, RECIPIENT) == TOKEN
    assert len({TOKEN, token(SECRET, RECIPIENT, MESSAGE), token("x" * 32, MESSAGE, RECIPIENT)}) == 3


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from(string.ascii_letters + string.digits + "-_.=\n é"))
def test_a_token_that_was_changed_names_nobody(at: int, char: str) -> None:
    changed = TOKEN[:at] + char + TOKEN[at + 1 :]
    assert (verify(SECRET, changed) is None) == (changed != TOKEN)


@pytest.mark.parametrize(
    "given_", ["", ".", "a.b", TOKEN[:-1], TOKEN + "A", TOKEN + "=", TOKEN[:8], TOKEN[:9], TOKEN.upper(), "é." + TOKEN]
)
def test_what_is_no_token_names_nobody(given_: str) -> None:
    assert verify(SECRET, given_) is None


def test_another_secret_knows_no_token_of_this_one() -> None:
    assert verify("x" * 32, TOKEN) is None


def test_the_token_comes_behind_the_parameters_of_the_url() -> None:
    for page, found in (
        ("https://x.org/u", f"https://x.org/u?token={TOKEN}"),
        ("https://x.org/u?a=1", f"https://x.org/u?a=1&token={TOKEN}"),
    ):
        assert links.url(load(env_file=None, unsubscribe_url=page), "unsubscribe", TOKEN) == found


def test_a_mail_of_such_a_kind_can_be_left_with_one_click() -> None:
    assert headers(RECIPIENT) == {
        "List-Unsubscribe": f"<https://app.example.org/u?token={TOKEN}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def test_the_longest_url_stays_whole() -> None:
    url = "https://app.example.org/" + "u" * 476
    assert headers(RECIPIENT, url)["List-Unsubscribe"] == f"<{url}?token={TOKEN}>"


def test_without_url_or_for_other_kinds_there_is_no_header() -> None:
    assert headers(RECIPIENT, None) == headers(RECIPIENT, "") == headers(None) == {}
