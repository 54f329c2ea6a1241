"""The product as it is installed: a migrated database, kinds in a folder, the worker command of the Procfile."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from subprocess import Popen
from types import MappingProxyType
from typing import Any

import psycopg
import sqlalchemy as sa

import notify
from benchmarks import newsletter
from benchmarks.drain import Drain, drained
from benchmarks.services import ROOT, Failed, Sink, process, rested, sink
from notify.app import App, open_app, using
from notify.dev.processes import clean_environment, procfile
from notify.model import Author, BatchState, Channel, Lane, MessageState, Source
from notify.settings import Settings, load
from notify.store import recipients, schema
from notify.store.tables import attempts, batches, messages
from notify.store.tenants import DEFAULT_ID

SLICE = 10_000  # recipients per call of send_many()
UNSUBSCRIBE_URL = "https://app.example.org/unsubscribe"  # so that every mail carries its token

FAR_ABOVE = "1000000/s"
LIMITS = {
    "NOTIFY_DOMAIN_RATES": f"*={FAR_ABOVE}",
    "NOTIFY_TENANT_RATE": FAR_ABOVE,
    "NOTIFY_RECIPIENT_RATE": "1000/m",
}


@contextmanager
def installed(
    database_url: str, socket: Path, folder: Path, *lanes: Lane, provider: str | None = None
) -> Iterator[App]:
    """An App on that database, migrated, with the newsletter as a kind on each lane; `notify.send()` uses it."""
    for lane in lanes:
        newsletter.write_kind(folder / "templates", lane)
    settings = load(
        env_file=None,
        data_dir=folder / "data",
        database_url=database_url,
        redis_url=f"unix://{socket}",
        templates_dir=folder / "templates",
        unsubscribe_url=UNSUBSCRIBE_URL,
        **({"email_providers": provider} if provider else {}),
    )
    app = open_app(settings)
    try:
        schema.upgrade(app.store)
        with using(app):
            yield app
    finally:
        app.close()


@contextmanager
def running(
    app: App,
    name: str,
    server: Sink,
    *,
    log: Path,
    count: int = 1,
    options: str = "",
    more: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[list[Popen[bytes]]]:
    """A command of the Procfile, in so many processes, delivering to `server`.

    `options` end the provider's URL, `more` are settings as environment variables.
    """
    command = procfile(ROOT / "Procfile")[name]
    env = {**_environment(app.settings, provider_url(server, options)), **more}
    with ExitStack() as stack:
        yield [stack.enter_context(process(command, log=log, env=env)) for _ in range(count)]


def provider_url(server: Sink, options: str = "") -> str:
    """The URL by which notify reaches that SMTP server; `options` such as `?connections=4`."""
    return f"smtp://127.0.0.1:{server.port}{options}"


@dataclass(frozen=True, slots=True)
class Planned:
    """Recipients/s: `imported` into the roster, and `planned` by send_many() in slices."""

    imported: float
    planned: float


def plan(app: App, count: int, lane: Lane) -> Planned:
    """Put `count` recipients into the roster and plan the newsletter for all of them."""
    keys = [f"reader-{number}" for number in range(count)]
    imported = 0.0
    for part in _slices(keys):
        changes = [
            recipients.Change(
                key,
                attributes={"name": f"Reader {key.removeprefix('reader-')}"},
                addresses={Channel.EMAIL: f"{key}@example.com"},
            )
            for key in part
        ]
        began = time.perf_counter()
        with app.store.begin() as connection:
            recipients.apply(connection, DEFAULT_ID, changes, datetime.now(UTC), by=Author("benchmark", Source.SEND))
        imported += time.perf_counter() - began
    kind = newsletter.kind_of(lane)
    began = time.perf_counter()
    for number, part in enumerate(_slices(keys)):
        notify.send_many(kind, part, newsletter.DATA, key=f"newsletter-{number}")
    planned = time.perf_counter() - began
    rest(app)
    return Planned(round(count / imported, 1), round(count / planned, 1))


def deliver(
    app: App,
    count: int,
    *,
    workers: int,
    sink_name: str,
    folder: Path,
    beside: Sequence[str] = (),
    limited: bool = False,
) -> Drain:
    """Empty the bulk lane with so many of its workers, and what else of the Procfile runs `beside` them.

    `limited`: under every limit there is, all far above what can be reached. Raises `Failed` unless database and SMTP
    server agree on exactly `count` messages.
    """
    log = folder / "worker.log"
    with ExitStack() as stack:
        server = stack.enter_context(sink(sink_name, folder))
        for name in beside:
            stack.enter_context(running(app, name, server, log=folder / f"{name}.log"))
        limits: dict[str, Any] = {"options": f"?rate={FAR_ABOVE}", "more": LIMITS} if limited else {}
        bulk = stack.enter_context(running(app, "worker-bulk", server, log=log, count=workers, **limits))
        drain = drained(lambda: settled(app), count, bulk, server, log=log)
    with app.store.read() as connection:
        recorded = connection.scalar(sa.select(sa.func.count()).select_from(attempts))
        accepted = connection.scalar(
            sa.select(sa.func.count()).select_from(messages).where(messages.c.state == MessageState.SENT)
        )
    if not count == recorded == accepted == server.count.messages:
        raise Failed(
            f"{count} messages planned, {accepted} in state sent, {recorded} attempts, "
            f"but the SMTP server counted {server.count.messages}"
        )
    return drain


def settled(app: App) -> bool:
    """Whether no batch is left to work on."""
    waiting = sa.select(batches.c.id).where(batches.c.state != BatchState.DONE).limit(1)
    with app.store.read() as connection:
        return connection.scalar(waiting) is None


def database_version(app: App) -> str:
    """Name and version of the App's database."""
    query = "SELECT sqlite_version()" if app.store.engine.dialect.name == "sqlite" else "SHOW server_version"
    with app.store.read() as connection:
        version = connection.exec_driver_sql(query).scalar()
    return f"{'SQLite' if query.startswith('SELECT') else 'PostgreSQL'} {version}"


def _environment(settings: Settings, provider: str) -> dict[str, str]:
    assert settings.database_url is not None, "installed() gives one"
    return clean_environment() | {
        "NOTIFY_DATABASE_URL": settings.database,
        "NOTIFY_REDIS_URL": settings.redis,
        "NOTIFY_DATA_DIR": str(settings.data_dir),
        "NOTIFY_TEMPLATES_DIR": str(settings.templates_dir),
        "NOTIFY_UNSUBSCRIBE_URL": UNSUBSCRIBE_URL,
        "NOTIFY_EMAIL_PROVIDERS": provider,
    }


def _slices(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), SLICE):
        yield keys[start : start + SLICE]


def rest(app: App) -> None:
    """Let the database rest before anything is measured, as autovacuum would have done."""
    if app.store.engine.dialect.name == "postgresql":
        with psycopg.connect(app.settings.database, autocommit=True) as database:
            rested(database)
