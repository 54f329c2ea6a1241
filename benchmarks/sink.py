"""An SMTP server that accepts every mail as fast as Python can, and tells all the while how many came.

`python -m benchmarks.sink [--check] [--arrivals FILE] [--delay MS]` prints its port as its first line, then, whenever
something came and on SIGTERM once more, a JSON line: `{"messages": 3, "distinct": 3, "connections": 1,
"most_connections": 2}`. `distinct` counts different Message-IDs (with `--check`, else null). With `--delay` it answers
like a server that far away: each reply leaves so many milliseconds after what it answers has arrived. It offers
PIPELINING (RFC 2920) and 8BITMIME (RFC 6152).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

GREETING = b"220 sink ESMTP\r\n"
EHLO = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 0\r\n"
OK, START, BYE = b"250 2.0.0 Ok\r\n", b"354 End data with <CR><LF>.<CR><LF>\r\n", b"221 2.0.0 Bye\r\n"
UNKNOWN, MALFORMED = b"500 5.5.2 What?\r\n", b"501 5.5.4 Syntax\r\n"
OUT_OF_ORDER = b"503 5.5.1 Out of order\r\n"
LONGEST_COMMAND = 2048
TELL_SECONDS = 0.02

_END = b"\r\n.\r\n"
_MAIL = re.compile(rb"FROM:\s*<[^<>\r\n]*>(?: .*)?", re.IGNORECASE)
_RCPT = re.compile(rb"TO:\s*<[^<>\r\n]+>(?: .*)?", re.IGNORECASE)
_MESSAGE_ID = re.compile(rb"^Message-ID:[ \t]*(?:\r\n[ \t]+)?<([^>\r\n]+)>", re.IGNORECASE | re.MULTILINE)


class Conversation:
    """One client: octets in, replies out (RFC 5321 §3.3). Does no I/O; `accept` is told of each mail, in full."""

    def __init__(self, accept: Callable[[bytes], None]) -> None:
        self.over = False
        self._accept = accept
        self._buffer = b""
        self._searched = 0  # so far no end of the body begins here: a long one is not searched again at each read
        self._sender = self._recipient = self._in_body = False

    def feed(self, octets: bytes) -> bytes:
        """The replies to these octets, however they were cut; `over` tells that the client took leave."""
        self._buffer = self._buffer + octets if self._buffer else octets
        replies = []
        while not self.over:
            reply = self._body() if self._in_body else self._line()
            if reply is None:
                break
            replies.append(reply)
        return b"".join(replies)

    def _line(self) -> bytes | None:
        line, found, rest = self._buffer.partition(b"\r\n")
        if not found:
            self.over = len(line) > LONGEST_COMMAND
            return UNKNOWN if self.over else None
        self._buffer = rest
        return self._command(line)

    def _body(self) -> bytes | None:
        end = self._buffer.find(_END, self._searched)
        if end < 0:
            self._searched = max(0, len(self._buffer) - len(_END) + 1)
            return None
        self._accept(self._buffer[2 : end + 2])
        self._buffer = self._buffer[end + len(_END) :]
        self._forget()
        return OK

    def _command(self, line: bytes) -> bytes:
        verb, _, argument = line.partition(b" ")
        match verb.upper():
            case b"MAIL":
                return self._mail(argument)
            case b"RCPT":
                return self._rcpt(argument)
            case b"DATA":
                return self._data(argument)
            case other:
                return self._aside(other, argument)

    def _aside(self, verb: bytes, argument: bytes) -> bytes:
        """What may be said at any time, and most of it resets the transaction (RFC 5321 §4.1.4)."""
        replies = {b"EHLO": EHLO, b"HELO": OK, b"RSET": OK, b"NOOP": OK, b"QUIT": BYE}
        if verb in (b"EHLO", b"HELO") and not argument:
            return MALFORMED
        if verb in (b"EHLO", b"HELO", b"RSET"):
            self._forget()
        self.over = verb == b"QUIT"
        return replies.get(verb, UNKNOWN)

    def _mail(self, argument: bytes) -> bytes:
        if self._sender:
            return OUT_OF_ORDER
        self._sender = _MAIL.fullmatch(argument) is not None
        return OK if self._sender else MALFORMED

    def _rcpt(self, argument: bytes) -> bytes:
        if not self._sender:
            return OUT_OF_ORDER
        known = _RCPT.fullmatch(argument) is not None
        self._recipient |= known
        return OK if known else MALFORMED

    def _data(self, argument: bytes) -> bytes:
        if argument:
            return MALFORMED
        if not self._recipient:
            return OUT_OF_ORDER
        self._in_body, self._searched = True, 0
        self._buffer = b"\r\n" + self._buffer  # an empty body ends at its first dot (RFC 5321 §4.1.1.4)
        return START

    def _forget(self) -> None:
        self._sender = self._recipient = self._in_body = False


class Tally:
    """Counts mails and connections, and with `check` keeps when each Message-ID first came: monotonic seconds."""

    def __init__(self, check: bool) -> None:
        self.messages = self.connections = self.most_connections = 0
        self.arrivals: dict[bytes, float] = {}
        self._check = check

    def accepted(self, mail: bytes) -> None:
        """A mail came."""
        self.messages += 1
        if self._check:
            named = _MESSAGE_ID.search(mail, 0, mail.find(b"\r\n\r\n"))
            self.arrivals.setdefault(named[1] if named else b"", time.monotonic())

    def connected(self, change: int) -> None:
        """A client came (1) or went (-1)."""
        self.connections += change
        self.most_connections = max(self.connections, self.most_connections)

    @property
    def summary(self) -> dict[str, int | None]:
        """The counts, as printed."""
        return {
            "messages": self.messages,
            "distinct": len(self.arrivals) if self._check else None,
            "connections": self.connections,
            "most_connections": self.most_connections,
        }


class _Client(asyncio.Protocol):
    def __init__(self, tally: Tally, delay: float) -> None:
        self._tally = tally
        self._conversation = Conversation(tally.accepted)
        self._delay = delay
        self._under_way: deque[bytes] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._tally.connected(1)
        self._reply(GREETING)

    def data_received(self, data: bytes) -> None:
        if not self._transport.is_closing() and (replies := self._conversation.feed(data)):
            self._reply(replies)

    def connection_lost(self, exc: Exception | None) -> None:
        self._tally.connected(-1)

    def _reply(self, octets: bytes) -> None:
        if not self._delay:
            self._write(octets)
            return
        self._under_way.append(octets)  # each timer sends what is oldest: replies keep their order
        asyncio.get_running_loop().call_later(self._delay, lambda: self._write(self._under_way.popleft()))

    def _write(self, octets: bytes) -> None:
        self._transport.write(octets)
        if self._conversation.over and not self._under_way:
            self._transport.close()


async def serve(tally: Tally, delay: float) -> None:
    """Listen on a free port of the loopback interface, print it, and accept mail until SIGTERM. `delay` in seconds."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, done.set)
    server = await loop.create_server(lambda: _Client(tally, delay), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    told = None
    while not done.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), TELL_SECONDS)
        if told != (told := tally.summary):
            print(json.dumps(told), flush=True)
    server.close()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sink", description=__doc__)
    parser.add_argument("--check", action="store_true", help="count distinct Message-IDs")
    parser.add_argument("--arrivals", type=Path, help="at the end, write `Message-ID seconds` of each here")
    parser.add_argument("--delay", type=int, default=0, metavar="MS", help="answer so many milliseconds late")
    options = parser.parse_args()
    tally = Tally(options.check or options.arrivals is not None)
    asyncio.run(serve(tally, options.delay / 1000))
    if options.arrivals is not None:
        lines = [f"{name.decode('latin-1')} {at:.6f}\n" for name, at in tally.arrivals.items()]
        options.arrivals.write_text("".join(lines), encoding="latin-1")
    print(json.dumps(tally.summary), flush=True)


if __name__ == "__main__":
    main()
