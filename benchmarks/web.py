"""How quickly `notify web` answers while links of a mailout are followed at a steady rate.

`python -m benchmarks.web --json` ends with one JSON line: percentiles in ms of GET /unsubscribe and of the one-click
POST, each at `rate` requests per second to one process of the Procfile. Every request is of another message, so each
POST stores all that leaving stores. A request's time begins when it was due, not when it was sent: a slow answer cannot
hide by delaying the next. `answered` is the rate that came through, `web_ms` the CPU time of the process for each.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import click
import sqlalchemy as sa
from rich.console import Console

from benchmarks import machine, product, report
from benchmarks.bulk import DATABASES
from benchmarks.services import (
    Failed,
    exit_on_sigterm,
    postgresql,
    sink,
    temporary_folder,
    until,
    valkey,
)
from notify.app import App
from notify.audience import links
from notify.model import Lane
from notify.store.tables import messages, suppressions

WARM_UP = 200  # requests that do not count: the first compile templates and open connections
PATIENCE_SECONDS = 60.0
ONE_CLICK = b"List-Unsubscribe=One-Click"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n" % len(ONE_CLICK)


def measure(*, database: str = "postgresql", rate: int = 200, seconds: int = 10) -> dict[str, Any]:
    """Follow links at `rate` per second for `seconds`, by GET and then by one-click POST. Raises `Failed`."""
    facts = machine.facts()
    count = rate * seconds
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        valkey_socket = stack.enter_context(valkey(folder))
        url = stack.enter_context(postgresql()) if database == "postgresql" else f"sqlite:///{folder / 'notify.db'}"
        app = stack.enter_context(product.installed(url, valkey_socket, folder, Lane.BULK))
        facts["database"] = product.database_version(app)
        product.plan(app, count + WARM_UP, Lane.BULK)
        paths = _paths(app)
        server = stack.enter_context(sink("own", folder))  # what a provider's URL names; nothing is sent
        port = free_port()
        more = {"NOTIFY_WEB_PORT": str(port)}
        [web] = stack.enter_context(product.running(app, "web", server, log=folder / "web.log", more=more))
        until(lambda: listens(port), PATIENCE_SECONDS, "the web process listens")
        found: dict[str, Any] = {}
        for name, post in (("get", False), ("post", True)):
            asyncio.run(_follow(port, paths[:WARM_UP], rate, post=post))
            before = machine.cpu_seconds([web.pid])
            answers = asyncio.run(_follow(port, paths[WARM_UP:], rate, post=post))
            after = machine.cpu_seconds([web.pid])
            used = None if before is None or after is None else round((after - before) / count * 1000, 2)
            found[name] = {**figures(answers), "web_ms": used}
        _require(app, count + WARM_UP)
    return {"rate": rate, "database": database, "requests": count, **found, "machine": facts}


def _paths(app: App) -> list[str]:
    with app.store.read() as connection:
        rows = connection.execute(sa.select(messages.c.id, messages.c.recipient_id)).all()
    return [f"/unsubscribe?token={links.sign(app, 'unsubscribe', *row)}" for row in rows]


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: when it was due and when its answer was complete, in seconds."""

    due: float
    done: float


async def _follow(port: int, paths: Sequence[str], rate: int, *, post: bool) -> list[Answer]:
    """One request for each path, begun when it is due, on kept connections: as many as are busy at once."""
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    method, rest = (b"POST", FORM + b"\r\n" + ONE_CLICK) if post else (b"GET", b"Accept-Language: nl\r\n\r\n")
    begin = time.perf_counter() + 0.05

    async def request(number: int, path: str) -> Answer:
        due = begin + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        while idle and idle[-1][0].at_eof():  # it rested for so long that the server has closed it
            idle.pop()[1].close()
        reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
        writer.write(method + b" " + path.encode() + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n" + rest)
        head = await reader.readuntil(b"\r\n\r\n")
        size = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(size)
        done = time.perf_counter()
        if not head.startswith(b"HTTP/1.1 200 "):
            raise Failed(f"{method.decode()} was answered {head.splitlines()[0].decode()}")
        idle.append((reader, writer))
        return Answer(due, done)

    answers = await asyncio.gather(*(request(number, path) for number, path in enumerate(paths)))
    for _, writer in idle:
        writer.close()
    return answers


def figures(answers: Sequence[Answer]) -> dict[str, float]:
    """The rate that was answered, and percentiles in ms from when a request was due."""
    times = sorted(answer.done - answer.due for answer in answers)

    def at(share: float) -> float:
        return round(times[min(len(times) - 1, int(share * len(times)))] * 1000, 2)

    span = max(answer.done for answer in answers) - min(answer.due for answer in answers)
    answered = round(len(answers) / span, 1)
    return {"answered": answered, "p50_ms": at(0.5), "p95_ms": at(0.95), "p99_ms": at(0.99), "worst_ms": at(1)}


def _require(app: App, count: int) -> None:
    """Every click is stored, and only once."""
    with app.store.read() as connection:
        stored = connection.scalar(sa.select(sa.func.count()).select_from(suppressions))
    if stored != count:
        raise Failed(f"{count} people left, and {stored} suppressions are stored")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@click.command(help=__doc__)
@click.option("--database", type=DATABASES, default="postgresql", show_default=True)
@click.option("--rate", type=click.IntRange(min=1), default=200, show_default=True, help="Requests per second.")
@click.option("--seconds", type=click.IntRange(min=1), default=10, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="End with one JSON line.")
def main(*, database: str, rate: int, seconds: int, as_json: bool) -> None:
    """The command."""
    exit_on_sigterm()
    found = measure(database=database, rate=rate, seconds=seconds)
    if as_json:
        click.echo(json.dumps(found))
    else:
        Console().print(report.web([found]))


if __name__ == "__main__":
    main()
