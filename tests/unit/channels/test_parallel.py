"""Several messages are under way, and the caller's thread alone takes, begins and answers them."""

from __future__ import annotations

import threading
from uuid import UUID

import pytest

from notify.channels.parallel import in_parallel
from notify.channels.provider import Envelope, Receipt
from notify.errors import DeliveryError, Rejected
from tests.providers import Agreed

ENVELOPES = [Envelope(UUID(int=number), "ada@example.test", "b@example.test", b"") for number in range(6)]


def test_as_many_are_under_way_as_there_are_lines() -> None:
    together = threading.Barrier(3, timeout=10)

    def send(_envelope: Envelope) -> Receipt:
        together.wait()
        return Receipt("ok")

    watch = Agreed()
    told = list(in_parallel(send, iter(ENVELOPES), watch, lines=3))
    assert {envelope.message_id.int for envelope, _ in told} == set(range(6))
    assert {line for _, line in watch.begun} == {0, 1, 2}


def test_one_refusal_leaves_the_others_alone() -> None:
    def send(envelope: Envelope) -> Receipt:
        if envelope.message_id.int == 2:
            raise Rejected("no")
        return Receipt("ok")

    told = dict(in_parallel(send, iter(ENVELOPES), Agreed(), lines=2))
    assert [number for number, e in enumerate(ENVELOPES) if isinstance(told[e], DeliveryError)] == [2]


def test_a_mistake_of_ours_is_not_taken_for_an_answer() -> None:
    def send(_envelope: Envelope) -> Receipt:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(in_parallel(send, iter(ENVELOPES), Agreed(), lines=2))
