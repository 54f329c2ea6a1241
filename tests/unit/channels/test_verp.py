"""A return path with a token names one message, survives mail servers, and nobody else can make one."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.channels.email import letter, verp
from notify.channels.email.verp import ForgedToken
from notify.channels.provider import Envelope
from notify.errors import InvalidSettings
from notify.model import Mode
from notify.settings import Settings, load

SECRET = "s" * 32
MESSAGE = UUID("0198c5f2-6d3b-7c1e-9a57-3f0d8e2b4a61")


def settings(return_path: str | None = "bounces+{token}@mail.example.org", **changes: object) -> Settings:
    return load(env_file=None, secret_key=SECRET, return_path=return_path, **changes)


def composed(given: Settings, **changes: bool) -> Envelope:
    return letter.envelope(
        given,
        message_id=MESSAGE,
        address="ada@example.org",
        name=None,
        subject="Hello",
        html=None,
        text="Hello",
        date=datetime(2026, 3, 1, tzinfo=UTC),
        mode=Mode.LIVE,
        **changes,  # type: ignore[arg-type]
    )


@given(st.uuids())
def test_a_return_path_names_its_message_in_whatever_case_it_comes_back(message: UUID) -> None:
    path = verp.return_path(settings(), message)
    assert path == verp.return_path(settings(), message)
    assert len(path.partition("@")[0]) <= 64
    assert {verp.message_of(settings(), path), verp.message_of(settings(), path.upper())} == {message}


def test_it_is_the_sender_of_the_envelope_and_of_nothing_else() -> None:
    envelope = composed(settings())
    assert envelope.sender == verp.return_path(settings(), MESSAGE)
    assert envelope.sender.encode() not in envelope.content


@pytest.mark.parametrize(("given", "sender"), [(None, "notify@example.org"), ("b@x.example.org", "b@x.example.org")])
def test_without_a_token_the_return_path_is_everybodys(given: str | None, sender: str) -> None:
    assert composed(settings(given)).sender == sender
    assert verp.message_of(settings(given), sender) is None


@given(st.integers(0, 44), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_token_that_was_changed_anywhere_is_forged(place: int, letter_: str) -> None:
    before, token = "bounces+", verp.return_path(settings(), MESSAGE)[8:53]
    changed = token[:place] + letter_ + token[place + 1 :]
    address = f"{before}{changed}@mail.example.org"
    if changed == token:
        assert verp.message_of(settings(), address) == MESSAGE
    else:
        with pytest.raises(ForgedToken):
            verp.message_of(settings(), address)


@pytest.mark.parametrize("local", ["bounces+", "bounces+x", "bounces+" + "a" * 44, "bounces+" + "a" * 46])
def test_what_stands_in_the_place_of_a_token_and_is_none_is_forged(local: str) -> None:
    with pytest.raises(ForgedToken):
        verp.message_of(settings(), f"{local}@mail.example.org")


@pytest.mark.parametrize("address", ["bounces@mail.example.org", "bounces+x@other.example.org", "", "@", "ada"])
def test_another_address_names_no_message(address: str) -> None:
    assert verp.message_of(settings(), address) is None


def test_a_token_is_good_under_an_old_secret_and_another_return_path() -> None:
    path = verp.return_path(settings(), MESSAGE)
    later = load(env_file=None, secret_key="n" * 32, old_secret_keys=SECRET, return_path="back-{token}@example.org")
    assert verp.message_of(later, path) == MESSAGE
    assert verp.return_path(later, MESSAGE) != path


def test_a_stranger_to_all_secrets_is_forged() -> None:
    with pytest.raises(ForgedToken):
        verp.message_of(
            load(env_file=None, secret_key="n" * 32, return_path="bounces+{token}@mail.example.org"),
            verp.return_path(settings(), MESSAGE),
        )


@pytest.mark.parametrize(
    "given",
    [
        "{token}",
        "a{token}{token}@example.org",
        "a@{token}.example.org",
        "x" * 20 + "{token}@example.org",
        "bounces",
        "b\u00fcro+{token}@example.org",
        "a b{token}@example.org",
    ],
)
def test_a_return_path_that_no_envelope_can_hold_is_refused(given: str) -> None:
    with pytest.raises(InvalidSettings, match="NOTIFY_RETURN_PATH"):
        settings(given)


def test_a_receipt_is_asked_for_at_the_return_path() -> None:
    envelope = composed(settings(), read_receipt=True)
    asked = email.message_from_bytes(envelope.content, policy=email.policy.default)["Disposition-Notification-To"]
    assert asked == f"<{envelope.sender}>"
    assert b"Disposition-Notification-To" not in composed(settings()).content
