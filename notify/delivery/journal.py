"""The Redis list by which a dead worker's batch is reconstructed: whom it had begun to write to, in order.

A message is entered before its hand-over begins, with the line that it goes out on, and withdrawn once it is known, and
written down, that it was not accepted and goes to another provider. So, once the worker is dead: what is not in the
journal, or was withdrawn as often as it was entered, was accepted by nobody; the last entry of each line is in doubt,
unless a note says that it was accepted; all the others had been accepted. Such a note is made of what a batch sends
last on a line, for another batch goes out there next: so no line ever has more than one message in doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from redis import Redis, RedisError

from notify.errors import Unreachable
from notify.model import Batch

KEPT_SECONDS = 7 * 24 * 3600
WITHDRAWN, ACCEPTED = b"\xff\xff", b"\xff\xfe"  # in the place of a line, which no line reaches
_TROUBLE = (RedisError, OSError)
OPENED = b"opened"  # the first entry: tells an empty journal from one that Redis has lost


@dataclass(frozen=True, slots=True)
class Entries:
    """Whom a journal holds, less the withdrawn: who was accepted, or else has a row; who may not be, one per line."""

    answered: frozenset[UUID]
    doubtful: frozenset[UUID]


class Journal:
    """The journal of one lease of one batch. Every call raises `Unreachable` when Redis does not answer.

    Its holder enters without waiting, on a connection of the journal's own, and asks once before each hand-over whether
    all that was entered is `safe()`; by then the answers have mostly come.
    """

    def __init__(self, redis: Redis, batch: Batch, epoch: int) -> None:
        self._redis = redis
        self._key = f"notify:journal:{batch.id}:{epoch}"
        self._sealed = f"{self._key}:sealed"
        key = self._key.encode()
        self._entering = b"*3\r\n$6\r\nRPUSHX\r\n$%d\r\n%b\r\n$18\r\n%%b\r\n" % (len(key), key)  # packed once
        self._line: Any = None
        self._unanswered = 0
        self._broken = False

    def open(self) -> None:
        """Begin. Returns once Redis has it: without a journal nothing may be sent.

        A claim of this epoch that failed later may have opened it before: then it is opened twice.
        """
        with _answering(), self._redis.pipeline() as pipe:
            pipe.rpush(self._key, OPENED)
            pipe.expire(self._key, KEPT_SECONDS)
            pipe.execute()

    def enter(self, message_id: UUID, line: int = 0) -> None:
        """This message's hand-over is about to begin, on this line. Does not wait for Redis: see `safe()`."""
        try:
            entry = self._entering % (message_id.bytes + line.to_bytes(2, "big"))
            (self._line or self._connect()).send_packed_command((entry,), check_health=False)
            self._unanswered += 1
        except _TROUBLE as error:
            raise self._silent(error) from error

    def withdraw(self, message_id: UUID) -> None:
        """Its hand-over that was entered last came to nothing. Does not wait for Redis, which keeps the order."""
        self._note(message_id, WITHDRAWN)

    def accepted(self, message_id: UUID) -> None:
        """It was the last of its line, and was accepted. Does not wait for Redis."""
        self._note(message_id, ACCEPTED)

    def safe(self) -> bool:
        """Whether Redis has every entry so far. False when the journal is gone: then no hand-over may begin.

        Redis lost it, or whoever took the batch over has sealed it.
        """
        kept = not self._broken
        try:
            while self._unanswered:
                kept = bool(self._line.read_response()) and kept
                self._unanswered -= 1
        except _TROUBLE as error:
            raise self._silent(error) from error
        return kept

    def seal(self) -> Entries | None:
        """Close it against its writer, who may only be slow, and tell whom it holds; None: Redis has lost it.

        Can be asked again: a claim that fails after it is repeated.
        """
        with _answering(), self._redis.pipeline() as pipe:
            pipe.lrange(self._sealed, 0, -1)
            pipe.lrange(self._key, 0, -1)
            pipe.renamenx(self._key, self._sealed)  # fails without harm when it is sealed or lost
            sealed, fresh, _ = pipe.execute(raise_on_error=False)
        for found in (sealed, fresh):
            if isinstance(found, RedisError):
                raise found
        found = [*sealed, *fresh]
        if not found or found[0] != OPENED:
            return None
        return _entries(found[1:])

    def close(self) -> None:
        """The batch is settled: nobody will ask."""
        self.leave()
        with _answering():
            self._redis.delete(self._key)

    def leave(self) -> None:
        """Give its connection back, and leave the entries to whoever comes."""
        if self._line is not None:
            if self._unanswered:
                self._line.disconnect()  # else its next user would read our answers
            self._redis.connection_pool.release(self._line)
            self._line, self._unanswered = None, 0

    def _note(self, message_id: UUID, what: bytes) -> None:
        try:
            (self._line or self._connect()).send_command("RPUSHX", self._key, message_id.bytes + what)
            self._unanswered += 1
        except _TROUBLE as error:
            raise self._silent(error) from error

    def _connect(self) -> Any:
        self._line = self._redis.connection_pool.get_connection()
        return self._line

    def _silent(self, error: Exception) -> Unreachable:
        """What Redis has of what was entered is not known."""
        self._broken, self._unanswered = True, 0
        if self._line is not None:
            self._line.disconnect()
        return _unreachable(error)


def _entries(found: Iterable[bytes]) -> Entries:
    last: dict[bytes, UUID] = {}
    begun: dict[UUID, set[bytes]] = {}  # and not withdrawn: the lines
    accepted = set[UUID]()
    for entry in found:
        if entry == OPENED:  # a claim that failed had opened it before
            continue
        message_id, line = UUID(bytes=entry[:16]), entry[16:]
        if line == WITHDRAWN:
            begun.pop(message_id, None)
        elif line == ACCEPTED:
            accepted.add(message_id)
        else:
            begun.setdefault(message_id, set()).add(line)
            last[line] = message_id
    doubtful = frozenset(one for one, lines in begun.items() if any(last[line] == one for line in lines)) - accepted
    return Entries(frozenset(begun) - doubtful, doubtful)


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise _unreachable(error) from error


def _unreachable(error: Exception) -> Unreachable:
    return Unreachable(
        f"Redis, which keeps the journal, does not answer: {error}\n"
        "Next: check that it runs and that NOTIFY_REDIS_URL is right (notify config)."
    )
