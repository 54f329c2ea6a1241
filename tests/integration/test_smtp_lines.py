"""How many lines there are, whose they are, and how long they are kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from uuid import UUID

import pytest

from notify.channels import Channels, provider_for
from notify.channels.email import smtp_pool
from notify.channels.email.smtp import Smtp
from notify.channels.provider import Envelope, Receipt
from notify.errors import DeliveryError, Transient
from notify.model import Channel
from tests.providers import Agreed, send
from tests.smtp_server import CLOSE, Server, serving

BODY = b"Subject: x\r\n\r\nbody\r\n"


def envelopes(count: int, start: int = 0) -> Iterator[Envelope]:
    for n in range(start, start + count):
        yield Envelope(UUID(int=n), f"user{n}@example.org", "b@example.org", BODY)


def smtp(url: str) -> Smtp:
    provider = provider_for(url)
    assert isinstance(provider, Smtp)
    return provider


def send_many(provider: Smtp, given: Iterator[Envelope]) -> tuple[list[Receipt | DeliveryError], Agreed]:
    """Send them, and see to it that no line ever has two messages begun and unanswered."""
    watch, outcomes = Agreed(), []
    under_way: dict[int, Envelope] = {}
    seen = 0
    with provider.open() as connection:
        for envelope, outcome in connection.send_all(given, watch):
            for begun, line in watch.begun[seen:]:
                assert line not in under_way
                under_way[line] = begun
            seen = len(watch.begun)
            under_way = {line: begun for line, begun in under_way.items() if begun is not envelope}
            outcomes.append(outcome)
    return outcomes, watch


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as started:
        yield started


def test_a_slow_server_gets_more_lines_and_the_next_batch_begins_with_them(server: Server) -> None:
    server.pause = 0.03
    with closing(smtp(f"{server.url}&connections=16")) as provider:
        first, watch = send_many(provider, envelopes(200))
        at_the_end = provider.pool.sensible
        second, again = send_many(provider, envelopes(64, 200))
    assert all(isinstance(outcome, Receipt) for outcome in first + second)
    assert sorted(server.accepted) == sorted(envelope.recipient for envelope in envelopes(264))
    assert len({line for _, line in watch.begun}) >= 8
    assert at_the_end >= 8
    assert len({line for _, line in again.begun[:16]}) >= 8
    assert server.highest <= 16


def test_there_are_never_more_lines_than_envelopes(server: Server) -> None:
    with closing(smtp(server.url)) as provider:
        provider.pool.sensible = 16
        _, watch = send_many(provider, envelopes(3))
        assert server.highest <= 3
    assert len(watch.begun) == 3


def test_a_line_is_kept_for_the_next_batch(server: Server) -> None:
    with closing(smtp(server.url)) as provider:
        for start in range(5):
            send_many(provider, envelopes(1, start))
        assert server.connections == 1
    assert server.wait(lambda: server.connections == 0)
    assert len(server.writes) == 1
    assert server.writes[0][-1] == b"QUIT\r\n"


def test_a_line_that_the_server_closed_is_not_used_again(server: Server) -> None:
    with closing(smtp(server.url)) as provider:
        send_many(provider, envelopes(1))
        server.hang_up()
        assert server.wait(lambda: server.connections == 0)
        (outcome,), _ = send_many(provider, envelopes(1, 1))
    assert isinstance(outcome, Receipt)
    assert len(server.writes) == 2


def test_a_line_that_was_not_used_for_long_is_not_used_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    with closing(smtp(server.url)) as provider:
        monkeypatch.setattr(provider.pool, "_clock", lambda: now)
        send_many(provider, envelopes(1))
        now = 20.0
        send_many(provider, envelopes(1, 1))
        assert len(server.writes) == 1
        now = 40.5
        send_many(provider, envelopes(1, 2))
    assert len(server.writes) == 2


def test_a_line_that_nobody_uses_is_closed_in_time(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp_pool, "KEPT_SECONDS", 0.05)
    with closing(smtp(server.url)) as provider:
        send_many(provider, envelopes(1))
        assert server.wait(lambda: server.connections == 0)
    assert server.writes[0][-1] == b"QUIT\r\n"


def test_when_the_channels_are_closed_no_line_stays_open(server: Server) -> None:
    channels = Channels.from_urls(email=[server.url], secret="s")
    (configured,) = channels.providers(Channel.EMAIL)
    with configured.provider.open() as connection:
        send(connection, next(envelopes(1)))
        channels.close()
        assert send(connection, next(envelopes(1, 1))).provider_id == "7E57"
    assert server.wait(lambda: server.connections == 0)


def test_a_line_carries_so_many_messages_and_no_more(server: Server) -> None:
    with closing(smtp(f"{server.url}&messages=3")) as provider:
        outcomes, _ = send_many(provider, envelopes(7))
        send_many(provider, envelopes(1, 7))
    assert all(isinstance(outcome, Receipt) for outcome in outcomes)
    assert [b"".join(writes).count(b"DATA\r\n") for writes in server.writes] == [3, 3, 2]
    assert all(writes[-1] == b"QUIT\r\n" for writes in server.writes)


def test_a_kept_line_that_fails_at_once_is_replaced_in_silence() -> None:
    def script(on: int, step: str, nth: int) -> str | None:
        return CLOSE if step == "MAIL" and on == 0 and nth == 2 else None

    with serving(script) as server, closing(smtp(server.url)) as provider:
        send_many(provider, envelopes(1))
        (outcome,), _ = send_many(provider, envelopes(1, 1))
    assert isinstance(outcome, Receipt)
    assert len(server.writes) == 2


def test_all_threads_share_the_limit_and_wait_for_their_turn(server: Server) -> None:
    server.pause = 0.005
    outcomes: list[Receipt | DeliveryError] = []

    def work(start: int) -> None:
        outcomes.extend(send_many(provider, envelopes(20, start))[0])

    with closing(smtp(f"{server.url}&connections=2")) as provider:
        threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 120, 20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert len(outcomes) == 120
    assert all(isinstance(outcome, Receipt) for outcome in outcomes)
    assert server.highest <= 2


def test_a_server_that_takes_two_connections_is_not_asked_again_and_again() -> None:
    with serving(most=2) as server, closing(smtp(server.url)) as provider:
        server.pause = 0.01
        outcomes, watch = send_many(provider, envelopes(150))
        assert provider.pool.sensible <= 4
        later: list[Receipt | DeliveryError] = []
        threads = [
            threading.Thread(target=lambda start=start: later.extend(send_many(provider, envelopes(20, start))[0]))
            for start in range(150, 230, 20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert len(outcomes) == 150
    assert len(later) == 80
    assert all(isinstance(outcome, Receipt) for outcome in outcomes + later)
    assert {line for _, line in watch.begun} == {0, 1}
    assert server.refused <= 4


def test_lines_go_on_while_nobody_answers_the_door(server: Server) -> None:
    server.pause = 0.01
    with closing(smtp(server.url)) as provider, provider.open() as connection:
        server.stop_listening()
        outcomes = [outcome for _, outcome in connection.send_all(envelopes(60), Agreed())]
    assert len(outcomes) == 60
    assert all(isinstance(outcome, Receipt) for outcome in outcomes)


def test_when_no_line_is_left_and_none_to_be_had_the_rest_is_handed_back() -> None:
    def script(_on: int, step: str, nth: int) -> str | None:
        if (step, nth) == ("BODY", 2):
            shrinking.stop_listening()
            return CLOSE
        return None

    told = []
    with serving(script) as shrinking, closing(smtp(shrinking.url)) as provider, provider.open() as connection:
        outcomes = connection.send_all(envelopes(5), Agreed())
        for _ in range(2):
            envelope, outcome = next(outcomes)
            told.append((envelope.message_id.int, getattr(outcome, "reason", "accepted")))
        with pytest.raises(Transient, match="unreachable"):
            next(outcomes)
    assert told == [(0, "accepted"), (1, "body_disconnected")]


def test_an_abandoned_batch_keeps_no_line_of_unknown_state(server: Server) -> None:
    with closing(smtp(server.url)) as provider, provider.open() as connection:
        outcomes = connection.send_all(envelopes(5), Agreed())
        next(outcomes)
        outcomes.close()  # type: ignore[attr-defined]
        assert server.wait(lambda: server.connections == 0)
        assert send(connection, next(envelopes(1, 9))).provider_id == "7E57"
    assert server.writes[1][0].startswith(b"MAIL FROM:<b@example.org>\r\nRCPT TO:<user9@")


def test_a_line_that_was_opened_for_nothing_is_kept(server: Server) -> None:
    with closing(smtp(server.url)) as provider, ExitStack() as stack:
        for _ in range(3):
            with provider.open():
                pass
        stack.enter_context(provider.open())
        assert server.connections == 1


def test_whoever_waits_too_long_for_a_line_is_told(server: Server) -> None:
    with (
        closing(smtp(f"{server.url}&connections=1")) as provider,
        provider.open(),
        pytest.raises(Transient) as raised,
    ):
        provider.pool.borrow(patience=0.05)
    assert raised.value.reason == "connections_busy"
