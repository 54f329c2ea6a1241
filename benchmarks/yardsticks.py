"""The two yardsticks beside which the product is measured: the same mail, SMTP server, Valkey and PostgreSQL.

`naive` is what is written first: a task per recipient, the standard library's mail and SMTP, a connection and three
commits each. `batch` is the least work that still keeps the product's promises: a leased and fenced batch, a journal
that is not waited for, pipelined SMTP (RFC 2920), a row per message and per attempt. Neither asks policy, guards
headers or survives a refusal: a reply that is not expected ends the run.

Their workers read YARDSTICK_DSN, YARDSTICK_SOCKET (Valkey's) and YARDSTICK_SMTP_PORT.
"""

from __future__ import annotations

import email.policy
import os
import smtplib
import socket
import threading
from binascii import b2a_qp
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from celery import Celery
from jinja2.sandbox import ImmutableSandboxedEnvironment
from redis import Redis
from uuid_utils.compat import uuid7

from benchmarks import newsletter

SENDER = "news@example.org"
LEASE = timedelta(seconds=30)


def broker(valkey: Path | str) -> str:
    """The broker's URL for a Valkey that listens on this socket."""
    return f"redis+socket://{valkey}"


app = Celery("yardsticks")
app.conf.update(
    broker_url=broker(os.environ.get("YARDSTICK_SOCKET", "")),
    broker_transport_options={"global_keyprefix": "yardstick:"},
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_send_task_events=False,
)

_html = ImmutableSandboxedEnvironment(autoescape=True, newline_sequence="\r\n").from_string(newsletter.HTML)
_text = ImmutableSandboxedEnvironment(newline_sequence="\r\n").from_string(newsletter.TEXT)


class Row(NamedTuple):
    """One message with what is needed to render it."""

    id: UUID
    address: str
    key: str
    name: str


class _Lines(threading.local):
    """This thread's connections, each opened when first used and kept."""

    @cached_property
    def database(self) -> psycopg.Connection[Any]:
        return psycopg.connect(os.environ["YARDSTICK_DSN"], autocommit=True)

    @cached_property
    def redis(self) -> Any:
        """One raw connection: commands can be written without reading their replies."""
        return Redis(unix_socket_path=os.environ["YARDSTICK_SOCKET"]).connection_pool.get_connection()

    @cached_property
    def smtp(self) -> Smtp:
        return Smtp(int(os.environ["YARDSTICK_SMTP_PORT"]))


class Smtp:
    """A pipelined conversation: the next envelope travels with the previous body, so one message is in doubt."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._replies = self._socket.makefile("rb")
        self._expect(b"220")
        self._socket.sendall(b"EHLO yardstick.example.org\r\n")
        self._expect(b"250")

    def begin(self, row: Row) -> None:
        """Announce the first message."""
        self._socket.sendall(_envelope(row))

    def transmit(self, mail: bytes, following: Row | None) -> str:
        """Send the body of the message announced, and the envelope of the one after it; returns the server's word."""
        if b"\n." in mail:  # a soft line break may fall before a full stop
            mail = mail.replace(b"\n.", b"\n..")
        envelope = b"" if following is None else _envelope(following)
        self._socket.sendall(b"%b.\r\n%b" % (mail, envelope))
        return self._expect(b"250").decode().rstrip()

    def go_ahead(self) -> None:
        """Wait until the body may be sent."""
        self._expect(b"250")
        self._expect(b"250")
        self._expect(b"354")

    def _expect(self, code: bytes) -> bytes:
        line = self._replies.readline()
        while line.startswith(b"-", 3):
            line = self._replies.readline()
        if not line.startswith(code):
            raise ConnectionError(f"the SMTP server said {line!r}")
        return line


_lines = _Lines()


@app.task(name="yardstick.batch")
def batch(batch_id: int) -> None:
    """Deliver one batch."""
    epoch, rows = _claim(batch_id)
    if not rows:
        return
    smtp, redis, journal = _lines.smtp, _lines.redis, f"yardstick:journal:{batch_id}:{epoch}"
    date = format_datetime(datetime.now(UTC))
    accepted = []
    smtp.begin(rows[0])
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        mail = _compose(row, date)
        smtp.go_ahead()
        redis.send_command("RPUSH", journal, row.id.bytes)
        accepted.append((row.id, smtp.transmit(mail, following)))
    for _ in rows:
        redis.read_response()
    _settle(batch_id, epoch, accepted)
    redis.send_command("DEL", journal)
    redis.read_response()


def _claim(batch_id: int) -> tuple[int, list[Row]]:
    database, now = _lines.database, datetime.now(UTC)
    with database.transaction():
        leased = database.execute(
            "UPDATE yardstick_batches SET state = 'leased', epoch = epoch + 1, lease_until = %s"
            " WHERE id = %s AND (state = 'ready' OR (state = 'leased' AND lease_until < %s)) RETURNING epoch",
            (now + LEASE, batch_id, now),
        ).fetchone()
        if leased is None:
            return 0, []
        found = database.execute(
            "SELECT m.id, m.address, r.key, r.name FROM yardstick_messages m"
            " JOIN yardstick_recipients r ON r.id = m.recipient_id WHERE m.batch_id = %s AND m.state = 'queued'",
            (batch_id,),
        )
        return leased[0], [Row(*row) for row in found]


def _settle(batch_id: int, epoch: int, accepted: Sequence[tuple[UUID, str]]) -> None:
    database, now = _lines.database, datetime.now(UTC).isoformat()  # text: it is written for each row
    with database.transaction():
        held = database.execute(
            "UPDATE yardstick_batches SET state = 'done' WHERE id = %s AND epoch = %s", (batch_id, epoch)
        )
        if held.rowcount == 0:
            return
        database.execute(
            "UPDATE yardstick_messages SET state = 'sent', sent_at = %s WHERE id = ANY(%s)",
            (now, [message_id for message_id, _ in accepted]),
        )
        with database.cursor().copy(
            "COPY yardstick_attempts (id, message_id, number, outcome, response, at) FROM STDIN"
        ) as copy:
            for message_id, response in accepted:
                copy.write_row((uuid7(), message_id, 1, "accepted", response, now))


def _envelope(row: Row) -> bytes:
    return f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{row.address}>\r\nDATA\r\n".encode()


_SKELETON = (
    f"From: News <{SENDER}>\r\nTo: %s <%s>\r\nSubject: %s\r\nDate: %s\r\n"
    "Message-ID: <%s@example.org>\r\nMIME-Version: 1.0\r\n"
    'Content-Type: multipart/alternative;\r\n boundary="=_b"\r\n\r\n--=_b\r\n'  # no quoted-printable holds =_
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
)
_BETWEEN = b"\r\n--=_b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
_END = b"\r\n--=_b--\r\n"


def _compose(row: Row, date: str) -> bytes:
    context = _context(row)
    head = _SKELETON % (row.name, row.address, _subject(row), date, row.id)
    text, html = _quoted(_text.render(context)), _quoted(_html.render(context))
    return b"".join((head.encode(), text, _BETWEEN, html, _END))


def _subject(row: Row) -> str:
    return f"{row.name}, here is what changed in {newsletter.DATA['month']}"


def _quoted(text: str) -> bytes:
    return b2a_qp(text.encode())


def _context(row: Row) -> dict[str, Any]:
    return {**newsletter.DATA, "recipient": {"name": row.name, "key": row.key}}


@app.task(name="yardstick.naive")
def naive(message_id: str, address: str, key: str, name: str) -> None:
    """Deliver one message."""
    row = Row(UUID(message_id), address, key, name)
    context = _context(row)
    _lines.database.execute("UPDATE yardstick_messages SET state = 'sending' WHERE id = %s", (message_id,))
    mail = EmailMessage(policy=email.policy.SMTP)
    mail["From"], mail["To"], mail["Subject"] = f"News <{SENDER}>", f"{name} <{address}>", _subject(row)
    mail["Date"], mail["Message-ID"] = format_datetime(datetime.now(UTC)), f"<{message_id}@example.org>"
    mail.set_content(_text.render(context))
    mail.add_alternative(_html.render(context), subtype="html")
    with smtplib.SMTP("127.0.0.1", int(os.environ["YARDSTICK_SMTP_PORT"])) as smtp:
        smtp.send_message(mail)
    now = datetime.now(UTC)
    _lines.database.execute(
        "UPDATE yardstick_messages SET state = 'sent', sent_at = %s WHERE id = %s", (now, message_id)
    )
    _lines.database.execute(
        "INSERT INTO yardstick_attempts (id, message_id, number, outcome, response, at) VALUES (%s, %s, 1, %s, '', %s)",
        (uuid7(), message_id, "accepted", now),
    )
