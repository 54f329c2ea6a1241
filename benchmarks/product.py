"""The product as it is installed: a migrated database, kinds in a folder, the worker command of the Procfile."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from subprocess import Popen

import sqlalchemy as sa

import notify
from benchmarks import newsletter
from benchmarks.drain import Drain, drained
from benchmarks.services import ROOT, Failed, Sink, process, sink
from notify.app import App, open_app, using
from notify.dev.processes import clean_environment, procfile
from notify.model import BatchState, Channel, Lane, MessageState
from notify.settings import Settings, load
from notify.store import recipients, schema
from notify.store.tables import attempts, batches, messages
from notify.store.tenants import DEFAULT_ID

SLICE = 10_000  # recipients per call of send_many()


@contextmanager
def installed(database_url: str, socket: Path, folder: Path, lane: Lane) -> Iterator[App]:
    """An App on that database, migrated, with the newsletter as its kind; `notify.send()` uses it."""
    newsletter.write_kind(folder / "templates", lane)
    settings = load(
        env_file=None,
        data_dir=folder / "data",
        database_url=database_url,
        redis_url=f"unix://{socket}",
        templates_dir=folder / "templates",
    )
    app = open_app(settings)
    try:
        schema.upgrade(app.store)
        with using(app):
            yield app
    finally:
        app.close()


@contextmanager
def working(app: App, lane: Lane, server: Sink, *, workers: int, log: Path) -> Iterator[list[Popen[bytes]]]:
    """The lane's worker of the Procfile, in so many processes, delivering to `server`."""
    command = procfile(ROOT / "Procfile")[f"worker-{lane}"]
    with ExitStack() as stack:
        yield [
            stack.enter_context(process(command, log=log, env=_environment(app.settings, server)))
            for _ in range(workers)
        ]


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
            recipients.apply(connection, DEFAULT_ID, changes, datetime.now(UTC))
        imported += time.perf_counter() - began
    kind = newsletter.kind_of(lane)
    began = time.perf_counter()
    for number, part in enumerate(_slices(keys)):
        notify.send_many(kind, part, newsletter.DATA, key=f"newsletter-{number}")
    planned = time.perf_counter() - began
    _analyze(app)
    return Planned(round(count / imported, 1), round(count / planned, 1))


def deliver(app: App, count: int, *, workers: int, sink_name: str, folder: Path) -> Drain:
    """Empty the bulk lane. Raises `Failed` unless database and SMTP server agree on exactly `count` messages."""
    log = folder / "worker.log"
    with (
        sink(sink_name, folder) as server,
        working(app, Lane.BULK, server, workers=workers, log=log) as running,
        app.store.engine.connect() as connection,
    ):

        def sent() -> int:  # asked often: counting the attempts of a long run would cost as much as sending some
            done = sa.select(sa.func.coalesce(sa.func.sum(batches.c.size), 0)).where(batches.c.state == BatchState.DONE)
            with connection.begin():
                return connection.scalar(done) or 0

        drain = drained(sent, count, running, server, log=log)
    with app.store.read() as connection:
        recorded = connection.scalar(sa.select(sa.func.count()).select_from(attempts))
        accepted = connection.scalar(
            sa.select(sa.func.count()).select_from(messages).where(messages.c.state == MessageState.SENT)
        )
    if not count == recorded == accepted == server.messages:
        raise Failed(
            f"{count} messages planned, {accepted} in state sent, {recorded} attempts, "
            f"but the SMTP server counted {server.messages}"
        )
    return drain


def database_version(app: App) -> str:
    """Name and version of the App's database."""
    query = "SELECT sqlite_version()" if app.store.engine.dialect.name == "sqlite" else "SHOW server_version"
    with app.store.read() as connection:
        version = connection.exec_driver_sql(query).scalar()
    return f"{'SQLite' if query.startswith('SELECT') else 'PostgreSQL'} {version}"


def _environment(settings: Settings, server: Sink) -> dict[str, str]:
    assert settings.database_url is not None, "installed() gives one"
    return clean_environment() | {
        "NOTIFY_DATABASE_URL": settings.database,
        "NOTIFY_REDIS_URL": settings.redis,
        "NOTIFY_DATA_DIR": str(settings.data_dir),
        "NOTIFY_TEMPLATES_DIR": str(settings.templates_dir),
        "NOTIFY_EMAIL_PROVIDERS": f"smtp://127.0.0.1:{server.port}",
    }


def _slices(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), SLICE):
        yield keys[start : start + SLICE]


def _analyze(app: App) -> None:
    """What autovacuum would have done by itself before a real mailout: the benchmark's rows are a second old."""
    if app.store.engine.dialect.name == "postgresql":
        with app.store.begin() as connection:
            connection.exec_driver_sql("ANALYZE")
