"""What an API's silence or answer means, whichever API it is."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import httpx2
import pytest

from notify.channels.http import LARGEST_ANSWER, LONGEST_WAIT, USUAL_WAIT, Answer, Api, failure, refusal, wait
from notify.errors import DeliveryError, Misconfigured, Rejected, Throttled, Transient, Uncertain

SECRET = "k3y-s3cret"


@contextmanager
def listening(answers: list[bytes]) -> Iterator[str]:
    """A server that takes a connection for each answer, hears one request, says it and hangs up."""

    def hear(line: socket.socket) -> None:
        heard = line.recv(1 << 16)
        ends = b"}" if heard.startswith(b"POST") else b"\r\n\r\n"
        while heard[:1].isalpha() and not heard.endswith(ends):  # TLS begins with another octet
            if not (more := line.recv(1 << 16)):
                return
            heard += more

    def serve() -> None:
        for answer in answers:
            line, _ = listener.accept()
            with line:
                hear(line)
                line.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(10)


@contextmanager
def trickling(began: threading.Event, over: threading.Event) -> Iterator[str]:
    """A server that takes one connection and answers it octet by octet until it is `over`."""

    def serve() -> None:
        line, _ = listener.accept()
        with line:
            line.recv(1 << 16)
            line.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            began.set()
            while not over.wait(0.05):
                line.sendall(b".")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        thread.join(10)


def api(endpoint: str) -> closing[Api]:
    return closing(Api(endpoint, SECRET, timeout=30.0))


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (200, Uncertain, "answer_unintelligible"),
        (302, Misconfigured, "endpoint_wrong"),
        (400, Rejected, "message_refused"),
        (401, Misconfigured, "credentials_refused"),
        (402, Misconfigured, "credit_exhausted"),
        (403, Misconfigured, "credentials_refused"),
        (404, Misconfigured, "endpoint_wrong"),
        (408, Transient, "provider_failed"),
        (413, Rejected, "too_large"),
        (429, Throttled, "throttled"),
        (500, Transient, "provider_failed"),
        (502, Uncertain, "gateway_failed"),
        (503, Transient, "provider_failed"),
        (504, Uncertain, "gateway_failed"),
        (524, Uncertain, "gateway_failed"),
    ],
)
def test_a_status_means_one_of_the_five(status: int, kind: type[DeliveryError], reason: str) -> None:
    error = refusal(Answer(status, {}, "so it is"))
    assert (type(error), error.reason, error.response) == (kind, reason, f"{status} so it is")


def test_an_unavailable_server_that_names_a_wait_asks_to_slow_down() -> None:
    error = refusal(Answer(503, {"retry-after": "7"}, ""))
    assert isinstance(error, Throttled)
    assert error.retry_after == 7


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, USUAL_WAIT),
        ({"retry-after": "30"}, 30),
        ({"retry-after": "0.2"}, 1),
        ({"retry-after": "-5"}, 1),
        ({"retry-after": "9" * 400}, LONGEST_WAIT),
        ({"retry-after": "nan"}, USUAL_WAIT),
        ({"retry-after": "soon"}, USUAL_WAIT),
        ({"retry-after": "Sat, 99 Nov 2026 08:00:40 GMT"}, USUAL_WAIT),
        ({"retry-after": "Sat, 21 Nov 2026 08:00:40 GMT", "date": "Sat, 21 Nov 2026 08:00:00 GMT"}, 40),
        ({"retry-after": "Sat, 21 Nov 2026 08:00:40 -0000", "date": "Sat, 21 Nov 2026 08:00:00 GMT"}, 40),
        ({"retry-after": "Wed, 21 Nov 2096 08:00:00 GMT", "date": "whenever"}, LONGEST_WAIT),
    ],
)
def test_a_wait_is_read_in_either_form_and_bounded(headers: dict[str, str], seconds: float) -> None:
    assert wait(headers) == seconds


def errors_of(module: object) -> list[type[Exception]]:
    named = [getattr(module, name) for name in dir(module)]
    return [one for one in named if isinstance(one, type) and issubclass(one, httpx2.TransportError)]


@pytest.mark.parametrize("kind", errors_of(httpx2), ids=lambda kind: kind.__name__)
def test_every_transport_error_is_proven_or_in_doubt(kind: type[Exception]) -> None:
    before, after = failure(kind(SECRET), begun=False, secret=SECRET), failure(kind(SECRET), begun=True, secret=SECRET)
    assert (type(before), type(after)) == (Transient, Uncertain)
    assert before.line_lost is (kind is not httpx2.PoolTimeout)
    assert after.line_lost
    assert SECRET not in f"{before} {after!r}"


def test_an_api_that_is_slow_with_all_its_connections_is_not_out_of_reach() -> None:
    began, over = threading.Event(), threading.Event()
    with trickling(began, over) as endpoint, closing(Api(endpoint, SECRET, timeout=1.0, connections=1)) as asked:
        first = threading.Thread(target=asked.post, args=("/",))
        first.start()
        assert began.wait(60)
        with pytest.raises(Transient) as busy:
            asked.post("/")
        over.set()
        first.join(10)
    assert (busy.value.reason, busy.value.scope, busy.value.line_lost) == ("connections_in_use", "message", False)


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Le"])
def test_a_line_that_breaks_after_the_body_is_doubt(answer: bytes) -> None:
    with listening([answer]) as endpoint, api(endpoint) as asked, pytest.raises(Uncertain) as doubt:
        asked.post("/", json={"to": "ada@example.test"})
    assert "ada" not in str(doubt.value)


def test_a_line_that_breaks_where_nothing_was_handed_over_is_no_doubt() -> None:
    with listening([b"", b"HTTP/1.1 504 no\r\n\r\n"]) as endpoint, api(endpoint) as asked:
        for _ in range(2):
            with pytest.raises(Transient):
                asked.get("/server")


def test_a_status_stands_when_its_text_breaks_off() -> None:
    cut = b"HTTP/1.1 401 no\r\nContent-Length: 100\r\n\r\nwho is " + SECRET.encode()
    with listening([cut]) as endpoint, api(endpoint) as asked:
        answer = asked.post("/", json={})
    assert (answer.status, answer.text) == (401, "who is ***")


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    endless = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * LARGEST_ANSWER
    with listening([endless]) as endpoint, api(endpoint) as asked:
        answer = asked.post("/", json={})
    assert len(answer.text) == LARGEST_ANSWER
    assert len(answer.said) < 1000


def test_a_handshake_that_fails_is_transient_and_says_tls() -> None:
    with listening([b"HTTP/1.1 400 this is no TLS\r\n\r\n"]) as endpoint:
        secured = endpoint.replace("http:", "https:")
        with api(secured) as asked, pytest.raises(Transient) as error:
            asked.post("/", json={})
    assert error.value.reason == "tls_failed"


def test_what_was_reached_a_moment_ago_is_not_asked_again() -> None:
    with listening([b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"]) as endpoint, api(endpoint) as asked:
        with asked.reached():
            pass
        with asked.reached():  # nobody listens any more
            pass


@pytest.mark.parametrize("text", ["[]", "null", "7", "{", "[" * 60000])
def test_an_answer_that_is_no_object_has_no_facts(text: str) -> None:
    assert Answer(200, {}, text).facts == {}
