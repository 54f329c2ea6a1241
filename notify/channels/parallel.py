"""`send_all` of a provider that is asked once for each message, on several lines: on each, one message at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from notify.channels.provider import Envelope, Outcome, Receipt, Watch
from notify.errors import DeliveryError


def in_parallel(
    send: Callable[[Envelope], Receipt], envelopes: Iterator[Envelope], watch: Watch, *, lines: int
) -> Iterator[Outcome]:
    """The promises of `Connection.send_all`, on at most this many lines, each with a thread while it is used.

    Envelopes are taken, begun and answered in the caller's thread; only `send` runs in the others.
    """
    idle = list(reversed(range(lines)))
    under_way: dict[Future[Receipt], tuple[Envelope, int]] = {}
    more = True
    with ThreadPoolExecutor(lines) as threads:
        while True:
            while more and idle:
                envelope = next(envelopes, None)
                if envelope is not None:
                    watch.begin(envelope, idle[-1])
                if envelope is None or not watch.may_go_on():
                    more = False
                    break
                under_way[threads.submit(send, envelope)] = envelope, idle.pop()
            if not under_way:
                return
            for answered in wait(under_way, return_when=FIRST_COMPLETED).done:
                envelope, line = under_way.pop(answered)
                yield envelope, _outcome(answered)
                idle.append(line)  # the caller has seen the outcome, and asks for more


def _outcome(answered: Future[Receipt]) -> Receipt | DeliveryError:
    error = answered.exception()
    if isinstance(error, DeliveryError):
        return error
    return answered.result()
