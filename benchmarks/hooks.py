"""How quickly `notify web` answers for what providers post, at a steady rate, and how quickly it is read afterwards.

`python -m benchmarks.hooks --json` ends with one JSON line: the rate that was accepted and percentiles in ms of
POST /hooks/resend, each delivery with one signed event of its own, to one process of the Procfile. A request's time
begins when it was due. `web_ms` is the CPU time of the process for each; `read` is how many events per second a worker
records of what is stored. Every delivery that was answered with 200 is stored, and is recorded once.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import hmac
import json
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

import click
import sqlalchemy as sa
from rich.console import Console

from benchmarks import machine, product, report
from benchmarks.bulk import DATABASES
from benchmarks.services import Failed, exit_on_sigterm, postgresql, sink, temporary_folder, until, valkey
from benchmarks.web import PATIENCE_SECONDS, Answer, figures, free_port, listens
from notify.app import App
from notify.feedback import hooks
from notify.model import HookState, Lane
from notify.store.tables import events, hook_payloads, messages

KEY = hashlib.sha256(b"benchmark").digest()
SECRET = f"resend=whsec_{b64encode(KEY).decode()}"
WARM_UP = 500  # deliveries that do not count


def measure(*, database: str = "postgresql", rate: int = 1000, seconds: int = 10) -> dict[str, Any]:
    """Post at `rate` per second for `seconds`, then read what is stored. Raises `Failed`."""
    facts = machine.facts()
    count = rate * seconds
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        valkey_socket = stack.enter_context(valkey(folder))
        url = stack.enter_context(postgresql()) if database == "postgresql" else f"sqlite:///{folder / 'notify.db'}"
        app = stack.enter_context(product.installed(url, valkey_socket, folder, Lane.BULK))
        facts["database"] = product.database_version(app)
        product.plan(app, 1000, Lane.BULK)
        ids = _ids(app)
        server = stack.enter_context(sink("own", folder))  # what a provider's URL names; nothing is sent
        port = free_port()
        more = {"NOTIFY_WEB_PORT": str(port), "NOTIFY_HOOK_SECRETS": SECRET}
        [web] = stack.enter_context(product.running(app, "web", server, log=folder / "web.log", more=more))
        until(lambda: listens(port), PATIENCE_SECONDS, "the web process listens")
        asyncio.run(_post(port, _requests(ids, 0, WARM_UP), rate))
        requests = _requests(ids, WARM_UP, count)
        before = machine.cpu_seconds([web.pid])
        with _collected():
            answers = asyncio.run(_post(port, requests, rate))
        after = machine.cpu_seconds([web.pid])
        used = None if before is None or after is None else round((after - before) / count * 1000, 2)
        _require(app, hook_payloads, count + WARM_UP)
        began = time.perf_counter()
        hooks.run(app, PATIENCE_SECONDS)
        read = round((count + WARM_UP) / (time.perf_counter() - began), 1)
        _require(app, events, count + WARM_UP)
        _require(app, hook_payloads, count + WARM_UP, hook_payloads.c.state == HookState.PROCESSED)
    taken = {**figures(answers), "web_ms": used, "read": read}
    return {"rate": rate, "database": database, "requests": count, **taken, "machine": facts}


@contextmanager
def _collected() -> Iterator[None]:
    """Without this process's own collector of garbage: it stops for longer than an answer takes."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _ids(app: App) -> list[str]:
    with app.store.read() as connection:
        return [str(id_) for id_ in connection.scalars(sa.select(messages.c.id))]


def _requests(ids: Sequence[str], first: int, count: int) -> list[bytes]:
    """Whole requests, each with an event of its own."""
    return [_request(f"msg_{number}", ids[number % len(ids)]) for number in range(first, first + count)]


def _request(name: str, message_id: str) -> bytes:
    now = datetime.now(UTC)
    said = {
        "type": "email.delivered",
        "created_at": now.isoformat(),
        "data": {
            "email_id": f"provider-{message_id}",
            "from": "News <news@example.com>",
            "to": ["reader@example.com"],
            "subject": "A newsletter",
            "created_at": now.isoformat(),
            "tags": {"message_id": message_id},
        },
    }
    body = json.dumps(said).encode()
    stamp = str(int(now.timestamp()))
    signature = b64encode(hmac.digest(KEY, f"{name}.{stamp}.".encode() + body, hashlib.sha256)).decode()
    head = (
        "POST /hooks/resend HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Svix-Id: {name}\r\nSvix-Timestamp: {stamp}\r\nSvix-Signature: v1,{signature}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _post(port: int, requests: Sequence[bytes], rate: int) -> list[Answer]:
    """Each request begun when it is due, on kept connections: as many as are busy at once."""
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    begin = time.perf_counter() + 0.05

    async def post(number: int, request: bytes) -> Answer:
        due = begin + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        while idle and idle[-1][0].at_eof():  # it rested for so long that the server has closed it
            idle.pop()[1].close()
        reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        size = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(size)
        done = time.perf_counter()
        if not head.startswith(b"HTTP/1.1 200 "):
            raise Failed(f"a delivery was answered {head.splitlines()[0].decode()}")
        idle.append((reader, writer))
        return Answer(due, done)

    answers = await asyncio.gather(*(post(number, request) for number, request in enumerate(requests)))
    for _, writer in idle:
        writer.close()
    return answers


def _require(app: App, table: sa.Table, count: int, *where: sa.ColumnElement[bool]) -> None:
    with app.store.read() as connection:
        stored = connection.scalar(sa.select(sa.func.count()).select_from(table).where(*where))
    if stored != count:
        raise Failed(f"{count} deliveries were accepted, and there are {stored} rows in {table.name}")


@click.command(help=__doc__)
@click.option("--database", type=DATABASES, default="postgresql", show_default=True)
@click.option("--rate", type=click.IntRange(min=1), default=1000, show_default=True, help="Deliveries per second.")
@click.option("--seconds", type=click.IntRange(min=1), default=10, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="End with one JSON line.")
def main(*, database: str, rate: int, seconds: int, as_json: bool) -> None:
    """The command."""
    exit_on_sigterm()
    found = measure(database=database, rate=rate, seconds=seconds)
    if as_json:
        click.echo(json.dumps(found))
    else:
        Console().print(report.hooks([found]))


if __name__ == "__main__":
    main()
