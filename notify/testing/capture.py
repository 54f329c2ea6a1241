"""Catches what would have been sent: decided, rendered and composed as in production, but never handed over."""

from __future__ import annotations

import email
import email.policy
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast, overload
from uuid import UUID

from pydantic import SecretStr

from notify.app import App, open_app, using
from notify.delivery import relay
from notify.delivery.prepare import Preparation, Prepared
from notify.errors import did_you_mean
from notify.intake import fan_out
from notify.model import Batch, MessageState, Mode
from notify.settings import Settings, load
from notify.store import batches, messages, open_store, schema, work
from notify.store.messages import Listed
from notify.store.tenants import DEFAULT_ID
from notify.store.work import Work
from notify.telemetry import Facts, subscribed
from notify.testing.clock import MovableClock

LEASE = timedelta(days=1)
MANY = 1_000_000


@dataclass(frozen=True, slots=True)
class CapturedEmail:
    """A mail as it would have gone out. `eml` is the whole of it, `parsed` the same read by the standard library."""

    eml: bytes
    parsed: EmailMessage

    @property
    def subject(self) -> str:
        """The Subject header, decoded."""
        return str(self.parsed["Subject"])

    @property
    def text(self) -> str:
        """The text part."""
        return self._body("plain")

    @property
    def html(self) -> str:
        """The HTML part; empty when there is none."""
        return self._body("html")

    @property
    def attachments(self) -> dict[str, bytes]:
        """Content by file name."""
        return {
            part.get_filename() or "": cast(bytes, part.get_payload(decode=True))
            for part in self.parsed.walk()
            if part.get_filename()
        }

    def _body(self, kind: str) -> str:
        part = self.parsed.get_body(preferencelist=(kind,))
        return "" if part is None else str(part.get_content()).replace("\r\n", "\n")


@dataclass(frozen=True, slots=True)
class Captured:
    """One message: its kind, the recipient's key, where it would have gone, what with, and its deadline."""

    id: UUID
    notification: UUID
    kind: str
    to: str
    address: str
    mode: Mode
    data: Mapping[str, Any]
    at: datetime
    email: CapturedEmail
    expires_at: datetime | None = None


class Outbox(Sequence[Captured]):
    """What would have been sent, in order. Move `clock` with `advance()` to release what was scheduled."""

    def __init__(self, clock: MovableClock) -> None:
        self.clock = clock
        self._captured: list[Captured] = []
        self._app: App | None = None

    @overload
    def __getitem__(self, index: int) -> Captured: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Captured]: ...
    def __getitem__(self, index: int | slice) -> Captured | Sequence[Captured]:
        return self._captured[index]

    def __len__(self) -> int:
        return len(self._captured)

    def __repr__(self) -> str:
        return f"Outbox({', '.join(f'{one.kind} to {one.to}' for one in self) or 'empty'})"

    def sent(self, kind: str, to: str | None = None) -> list[Captured]:
        """The messages of this kind, to this recipient's key if given."""
        return [one for one in self if one.kind == kind and to in (None, one.to)]

    def assert_sent(self, kind: str, to: str | None = None, *, times: int | None = None) -> Captured:
        """Fail unless such a message was sent (exactly `times` if given); returns the first."""
        found = self.sent(kind, to)
        wanted = f"{kind!r}" + (f" to {to!r}" if to is not None else "")
        if not found:
            known = {one.kind for one in self} if not self.sent(kind) else {one.to for one in self.sent(kind)}
            near = did_you_mean(kind if not self.sent(kind) else to or "", known)
            raise AssertionError(f"{wanted} was not sent{near} The outbox holds: {self._summary()}")
        if times is not None and len(found) != times:
            raise AssertionError(
                f"{wanted} was sent {len(found)} times, not {times}. The outbox holds: {self._summary()}"
            )
        return found[0]

    def assert_not_sent(self, kind: str, to: str | None = None) -> None:
        """Fail if such a message was sent."""
        if self.sent(kind, to):
            raise AssertionError(f"{kind!r} was sent. The outbox holds: {self._summary()}")

    def assert_nothing_sent(self) -> None:
        """Fail if anything was sent."""
        if self._captured:
            raise AssertionError(f"something was sent: {self._summary()}")

    def assert_skipped(self, kind: str, to: str, *, reason: str | None = None) -> None:
        """Fail unless policy refused such a message (for this reason if given)."""
        rows = self._listing(MessageState.SKIPPED)
        if not any(row.kind == kind and row.recipient == to and reason in (None, row.message.reason) for row in rows):
            held = ", ".join(f"{row.kind} to {row.recipient} ({row.message.reason})" for row in rows) or "nothing"
            raise AssertionError(
                f"{kind!r} to {to!r} was not skipped{f' for {reason}' if reason else ''}. Skipped: {held}"
            )

    @property
    def scheduled(self) -> list[Listed]:
        """What waits for its time."""
        return self._listing(MessageState.QUEUED)

    def advance(self, by: timedelta | None = None, *, to: datetime | None = None) -> None:
        """Move the clock, and release what is due by then."""
        self.clock.move(by, to=to)
        assert self._app is not None
        relay(self._app)

    def clear(self) -> None:
        """Forget what was captured so far."""
        self._captured.clear()

    def _heard(self, event: str, _facts: Facts) -> None:
        """Plan at once what a worker would plan a second later: a notification to everyone."""
        if event == "notification.planned" and self._app is not None:
            fan_out.run(self._app)

    def _listing(self, state: MessageState) -> list[Listed]:
        assert self._app is not None
        with self._app.store.read() as connection:
            return messages.listing(connection, DEFAULT_ID, states=[state], limit=MANY)

    def _summary(self) -> str:
        return ", ".join(f"{one.kind} to {one.to}" for one in self) or "nothing"

    def _collect(self, planned: Sequence[Batch]) -> None:
        for batch in planned:
            self._collect_one(batch)

    def _collect_one(self, batch: Batch) -> None:
        app, now = self._app, self.clock.now()
        assert app is not None
        with app.store.begin() as connection:
            held = batches.claim(connection, batch.id, worker="capture", now=now, due_by=now, lease_until=now + LEASE)
            taken = work.take(connection, held, due_by=now, at=now) if held else []
        prepare = Preparation(app)
        captured = [_captured(one, prepare(one, now), now) for one in taken]
        if held:
            with app.store.begin() as connection:
                ids = [one.id for one in captured]
                messages.move(connection, ids, MessageState.SENDING, MessageState.SENT, at=now, tried=True, sent_at=now)
                batches.finish(connection, held, now)
        self._captured += captured


@contextmanager
def capture(settings: Settings | None = None, *, at: datetime | None = None) -> Iterator[Outbox]:
    """Inside the block nothing leaves the process: what `notify.send()` would have sent is in the outbox.

    Settings are those in force, but for database and broker, which are the block's own and empty at its start. The
    clock stands at `at`, or now, until it is moved. With `session=`, messages appear when that session commits.
    """
    outbox = Outbox(MovableClock(at))
    given = settings or load()
    with tempfile.TemporaryDirectory(prefix="notify-capture-") as folder:
        url = f"sqlite:///{Path(folder) / 'capture.db'}"
        real = open_app(given.model_copy(update={"database_url": SecretStr(url)}))
        store = open_store(url, joins_sessions=False)
        app = App(real.settings, store, real.channels, real.kinds, real.redis, outbox.clock, outbox._collect)
        outbox._app = app
        schema.create(store)
        try:
            with using(app), subscribed(outbox._heard):
                yield outbox
        finally:
            store.close()
            real.close()


def _captured(work: Work, prepared: Prepared, at: datetime) -> Captured:
    content = prepared.envelope.content
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    data = work.occasion.data if work.data is None else work.data
    return Captured(
        id=work.id,
        notification=work.occasion.notification_id,
        kind=work.occasion.kind,
        to=work.recipient.key,
        address=prepared.envelope.recipient,
        mode=work.occasion.mode,
        data=data,
        at=at,
        email=CapturedEmail(content, parsed),
        expires_at=work.occasion.expires_at,
    )
