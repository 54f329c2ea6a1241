"""A link opens one thing for one person; nobody else can make one, and it survives a change of keys."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from notify.app import App
from notify.audience import links
from notify.channels.email import unsubscribe
from notify.settings import Settings, load

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADA, MAIL = UUID(int=2**127 + 5), UUID(int=9)
BEFORE, AFTER = "b" * 32, "a" * 32


class Clock:
    """Stands still."""

    def __init__(self, now: datetime = NOW) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now


def app(now: datetime = NOW, **changes: Any) -> App:
    """Settings and a clock: a link needs no more."""
    settings = load(env_file=None, secret_key=BEFORE).model_copy(update=changes)
    nothing: Any = None
    return App(settings, nothing, nothing, nothing, nothing, Clock(now), nothing)


def rotated(*old: str, now: datetime = NOW) -> App:
    return app(now, secret_key=SecretStr(AFTER), old_secret_keys=tuple(map(SecretStr, old)))


@given(st.lists(st.uuids(), max_size=4), st.sampled_from(["unsubscribe", "preferences", "confirm", "verify"]))
def test_a_link_names_what_was_signed(ids: list[UUID], purpose: links.Purpose) -> None:
    made = links.sign(app(), purpose, *ids)
    assert set(made) <= set(string.ascii_letters + string.digits + "-_.")
    assert links.verify(app(), purpose, made) == tuple(ids)


def test_a_link_opens_nothing_else() -> None:
    made = links.sign(app(), "preferences", ADA)
    assert links.verify(app(), "confirm", made) is None
    assert links.verify(app(), "verify", made) is None
    assert links.verify(app(), "unsubscribe", made) is None


TOKEN = links.sign(app(), "confirm", ADA, expires=NOW + timedelta(days=1))


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from(string.ascii_letters + string.digits + "-_.=\n é"))
def test_a_link_that_was_changed_opens_nothing(at: int, char: str) -> None:
    changed = TOKEN[:at] + char + TOKEN[at + 1 :]
    assert (links.read(app(), "confirm", changed) is None) == (changed != TOKEN)


@pytest.mark.parametrize("given_", ["", ".", "a.b", "é." + TOKEN, TOKEN * 10, TOKEN[:-1], TOKEN + "A", TOKEN[:9]])
def test_what_is_no_link_opens_nothing(given_: str) -> None:
    assert links.read(app(), "confirm", given_) is None


def test_a_link_expires_and_says_so() -> None:
    later = app(NOW + timedelta(days=1))
    assert links.verify(app(), "confirm", TOKEN) == (ADA,)
    assert links.verify(later, "confirm", TOKEN) is None
    assert links.read(later, "confirm", TOKEN) == links.Link((ADA,), expired=True)


def test_a_link_signed_with_an_old_key_still_opens() -> None:
    made = links.sign(app(), "preferences", ADA)
    assert links.verify(rotated(BEFORE), "preferences", made) == (ADA,)
    assert links.verify(rotated("other" * 8, BEFORE), "preferences", made) == (ADA,)
    assert links.verify(rotated(), "preferences", made) is None


def test_nothing_new_is_signed_with_an_old_key() -> None:
    assert links.verify(app(), "preferences", links.sign(rotated(BEFORE), "preferences", ADA)) is None


def test_a_list_unsubscribe_token_of_before_is_an_unsubscribe_link() -> None:
    made = unsubscribe.token(BEFORE, MAIL, ADA)
    assert links.verify(rotated(BEFORE), "unsubscribe", made) == (MAIL, ADA)
    assert links.sign(app(), "unsubscribe", MAIL, ADA) == made
    assert unsubscribe.verify(AFTER, made, BEFORE) == (MAIL, ADA)
    assert unsubscribe.verify(AFTER, made) is None


def settings(**changes: Any) -> Settings:
    return load(env_file=None, **changes)


def test_pages_stand_below_the_public_url() -> None:
    root = settings(public_url="https://notify.example.org/mail/")
    assert links.url(root, "preferences", "t") == "https://notify.example.org/mail/preferences?token=t"
    assert links.url(root, "unsubscribe", "t") == "https://notify.example.org/mail/unsubscribe?token=t"
    assert links.url(settings(), "preferences", "t") is None


def test_an_endpoint_of_the_operators_own_comes_first() -> None:
    both = settings(public_url="https://notify.example.org", unsubscribe_url="https://app.example.org/u?a=1")
    assert links.url(both, "unsubscribe", "t") == "https://app.example.org/u?a=1&token=t"
