"""How quickly `notify web` answers for opens and clicks at a steady rate, and how quickly they are recorded afterwards.

`python -m benchmarks.tracking --json` ends with one JSON line: percentiles in ms of clicks and opens in turn, each of a
message of its own, to one process of the Procfile: half of the clicks follow one link of all mails, half a link that
stands in one mail alone. A request's time begins when it was due. `web_ms` is the CPU time of the process for each;
`drained` is how many a second a worker records of the stream. Every request that was answered is recorded once.
`marked_us` is the CPU time by which a tracked mail is dearer to make than the same one untracked.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click
import sqlalchemy as sa
from rich.console import Console

from benchmarks import machine, newsletter, product, report
from benchmarks.bulk import DATABASES
from benchmarks.services import Failed, exit_on_sigterm, postgresql, sink, temporary_folder, until, valkey
from benchmarks.web import PATIENCE_SECONDS, Answer, figures, free_port, listens
from notify.app import App
from notify.channels.email import html_links
from notify.channels.email import tracking as addresses
from notify.feedback import tracking
from notify.model import Lane
from notify.store import tracked_links
from notify.store.tables import events, messages
from notify.store.tenants import DEFAULT_ID
from notify.store.tracked_links import Target

WARM_UP = 200  # requests that do not count
SHARED = "https://shop.example/spring?utm_source=newsletter"
ROOT = "https://notify.example.org"
BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
MARKS = 2000


def measure(*, database: str = "postgresql", rate: int = 500, seconds: int = 10) -> dict[str, Any]:
    """Click and open at `rate` per second for `seconds`, then drain. Raises `Failed`."""
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
        asyncio.run(_follow(port, paths[:WARM_UP], rate))
        before = machine.cpu_seconds([web.pid])
        answers = asyncio.run(_follow(port, paths[WARM_UP:], rate))
        after = machine.cpu_seconds([web.pid])
        used = None if before is None or after is None else round((after - before) / count * 1000, 2)
        until(lambda: app.redis.xlen(tracking.STREAM) == len(paths), PATIENCE_SECONDS, "all is written")
        began = time.perf_counter()
        later = replace(app, clock=_Later())  # nobody waits for messages that are not sent here
        tracking.drain(later, PATIENCE_SECONDS)
        drained = round(len(paths) / (time.perf_counter() - began), 1)
        _require(app, len(paths))
        marked = _marked_us(app)
    taken = {**figures(answers), "web_ms": used, "drained": drained, "marked_us": marked}
    return {"rate": rate, "database": database, "requests": count, **taken, "machine": facts}


class _Later:
    """A clock that is ahead by as long as an entry may wait for its message."""

    def now(self) -> datetime:
        """The time then."""
        return datetime.now(UTC) + 2 * tracking.SETTLING


def _paths(app: App) -> list[str]:
    """Clicks and opens in turn, each of another message."""
    with app.store.read() as connection:
        ids = list(connection.scalars(sa.select(messages.c.id)))
    own = [f"https://app.example/orders/{id_}" for id_ in ids[::4]]
    targets = [Target(addresses.link_id(DEFAULT_ID, url), DEFAULT_ID, None, url) for url in (SHARED, *own)]
    for start in range(0, len(targets), 500):
        with app.store.begin() as connection:
            tracked_links.store(connection, targets[start : start + 500], app.clock.now())
    return [_path(app, number, id_, targets) for number, id_ in enumerate(ids)]


def _path(app: App, number: int, message_id: UUID, targets: Sequence[Target]) -> str:
    secret = app.settings.secrets[0]
    if number % 2:
        return addresses.pixel("", secret, message_id)
    target = targets[0] if number % 4 else targets[1 + number // 4]
    return addresses.link("", secret, message_id, target.id)


async def _follow(port: int, paths: Sequence[str], rate: int) -> list[Answer]:
    """One request for each path, begun when it is due, on kept connections: as many as are busy at once."""
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    rest = f" HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: {BROWSER}\r\n\r\n"
    begin = time.perf_counter() + 0.05

    async def request(number: int, path: str) -> Answer:
        due = begin + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        while idle and idle[-1][0].at_eof():  # it rested for so long that the server has closed it
            idle.pop()[1].close()
        reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path}{rest}".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        size = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(size)
        done = time.perf_counter()
        if head.split(b" ", 2)[1] not in (b"200", b"302"):
            raise Failed(f"{path[:3]} was answered {head.splitlines()[0].decode()}")
        idle.append((reader, writer))
        return Answer(due, done)

    answers = await asyncio.gather(*(request(number, path) for number, path in enumerate(paths)))
    for _, writer in idle:
        writer.close()
    return answers


def _require(app: App, count: int) -> None:
    with app.store.read() as connection:
        stored = connection.scalar(sa.select(sa.func.count()).select_from(events))
    if stored != count:
        raise Failed(f"{count} were seen, and {stored} events are stored")


def _marked_us(app: App) -> float:
    """CPU time in µs to mark one rendered newsletter, and to quote what is new in it."""
    kind = app.kinds.get(newsletter.kind_of(Lane.BULK))
    secret, message_id = app.settings.secrets[0], UUID(int=1)
    person = {"key": "reader-1", "address": "reader-1@example.com", "name": "Reader 1"}
    data = {**kind.typed(kind.validate(newsletter.DATA)), "recipient": person, "unsubscribe_url": ROOT}
    mail = kind.render(kind.facts.channels[0], data, locale="en", timezone="UTC").html_part

    def through_us(url: str) -> str:
        return addresses.link(ROOT, secret, message_id, addresses.link_id(DEFAULT_ID, url))

    times = []
    for marks in (False, True):
        for rounds in (MARKS // 10, MARKS):
            began = time.process_time()
            for _ in range(rounds):
                (html_links.replaced(mail, through_us, "<img>") if marks else mail).octets()
            spent = time.process_time() - began
        times.append(spent / MARKS * 1e6)
    return round(times[1] - times[0], 1)


@click.command(help=__doc__)
@click.option("--database", type=DATABASES, default="postgresql", show_default=True)
@click.option("--rate", type=click.IntRange(min=1), default=500, show_default=True, help="Requests per second.")
@click.option("--seconds", type=click.IntRange(min=1), default=10, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="End with one JSON line.")
def main(*, database: str, rate: int, seconds: int, as_json: bool) -> None:
    """The command."""
    exit_on_sigterm()
    found = measure(database=database, rate=rate, seconds=seconds)
    if as_json:
        click.echo(json.dumps(found))
    else:
        Console().print(report.tracking([found]))


if __name__ == "__main__":
    main()
