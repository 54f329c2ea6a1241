"""Deaths of one cause read as one."""

from __future__ import annotations

import pytest

from notify.policy.fingerprint import LENGTH, fingerprint


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("550 5.1.1 <ada@example.org> unknown", "550 5.1.1 <bob@example.net> unknown"),
        ("552 too large, queue id 4Xy2Z1AbC", "552 too large, queue id 9Qr8T7KlM"),
        ("hello: rows must be a number, not 'many'", "hello: rows must be a number, not 'few'"),
        (
            "message 0198c5f2-6d3b-7c1e-9a57-3f0d8e2b4a61 refused",
            "message 0198c5f3-0000-7c1e-9a57-3f0d8e2b4a00 refused",
        ),
        ("at 2031-05-01T09:00:00 it failed", "at  2031-05-02T10:30:00\n it failed"),
        ('blocked by "zen.example.org"', 'blocked by "bl.example.net"'),
    ],
)
def test_numbers_ids_addresses_and_quoted_words_make_no_difference(one: str, other: str) -> None:
    assert fingerprint("hello", "rejected", "x", one) == fingerprint("hello", "rejected", "x", other)


def test_kind_error_reason_and_the_words_of_the_text_make_one() -> None:
    first = ("hello", "rejected", "mailbox_full", "no room")
    others = [
        ("other", *first[1:]),
        ("hello", "transient", *first[2:]),
        (*first[:2], "mailbox_unknown", "no room"),
        (*first[:3], "nobody there"),
        (*first[:3], None),
        (None, *first[1:]),
    ]
    found = {fingerprint(*facts) for facts in [first, *others]}
    assert len(found) == len(others) + 1
    assert all(len(one) == LENGTH for one in found)


def test_a_text_that_no_encoding_takes_has_one_too() -> None:
    assert fingerprint("hello", "rejected", "x", "\ud800" * 5000)
