"""App: everything a use case needs, wired once and passed first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from redis import Redis, RedisError

from notify import failpoints
from notify.broker import Bell
from notify.channels import Channels
from notify.channels.sinks import Bounded, House, sinks
from notify.errors import InvalidSettings, Unreachable
from notify.kinds import Catalogue
from notify.model import Batch, Channel
from notify.settings import Settings, load
from notify.store import Store, batches, open_store
from notify.store.link_book import LinkBook
from notify.store.rule_books import RuleBook
from notify.telemetry import emit


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class App:
    """Settings, store, channels, kinds, Redis, clock, how to ring for a batch, where alerts go, what is known."""

    settings: Settings
    store: Store
    channels: Channels
    kinds: Catalogue
    redis: Redis
    clock: Clock
    publish: Callable[[Sequence[Batch]], None]
    sinks: tuple[Bounded, ...] = ()
    rule_book: RuleBook = field(default_factory=RuleBook)
    link_book: LinkBook = field(default_factory=LinkBook)

    def close(self) -> None:
        """Return every connection."""
        self.channels.close()
        self.store.close()
        self.redis.close()
        if isinstance(self.publish, Bell):
            self.publish.close()


def open_app(settings: Settings) -> App:
    """Wire an App. Opens no connection: an unreachable service is reported by its first use.

    Raises `InvalidSettings` or `InvalidProvider` for what could never work.
    """
    if settings.failpoints is not None:
        failpoints.arm(settings.failpoints)
    channels = Channels.from_urls(
        email=[url.get_secret_value() for url in settings.email_providers],
        secret=settings.secret_key.get_secret_value(),
    )
    return App(
        settings=settings,
        store=open_store(settings.database, connections=connections(settings)),
        channels=channels,
        kinds=Catalogue(
            [settings.templates_dir, shipped("templates")],
            default_locale=settings.default_locale,
            default_timezone=settings.default_timezone,
        ),
        redis=_redis(settings.redis),
        clock=SystemClock(),
        publish=Bell(settings),
        sinks=sinks(
            [url.get_secret_value() for url in settings.alert_sinks],
            House(settings, channels.providers(Channel.EMAIL)),
        ),
    )


def connections(settings: Settings) -> int:
    """How many connections to the database a process has at most.

    A worker's threads hold one each, and one more while a lease is renewed; heartbeat and farewell take two.
    """
    return 2 * settings.worker_concurrency + 2


def _redis(url: str) -> Redis:
    try:
        client = Redis.from_url(url, socket_timeout=10, socket_connect_timeout=5)
        client.connection_pool.make_connection()  # connects to nothing, but reads the URL's options
    except (ValueError, TypeError, RedisError):  # their texts may repeat a password
        raise InvalidSettings(
            "NOTIFY_REDIS_URL: cannot be used: an option behind '?' is unknown or has a wrong value\n"
            "Next: write it like redis://:password@host:6379/0, without options."
        ) from None
    return client


def shipped(name: str) -> Path:
    """A file or folder that travels with notify: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "shipped" / name
    return installed if installed.exists() else package.parent / name


def ring(app: App, planned: Sequence[Batch]) -> int:
    """Ring for those of these stored batches that are due; returns how many.

    When the broker does not answer they are marked as never rung for, so that the next relay tick finds them.
    """
    now = app.clock.now()
    due = [batch for batch in planned if batch.due_at <= now]
    if not due:
        return 0
    try:
        app.publish(due)
    except Unreachable as error:
        emit("batch.unpublished", batches=len(due), error=str(error))
        with suppress(Unreachable), app.store.begin() as connection:  # then the sweep finds them a minute later
            batches.mark_published(connection, due, None)
        return 0
    emit("batch.published", batches=len(due))
    return len(due)


_lock = threading.Lock()
_current: App | None = None


def current() -> App:
    """This process's App, opened from the settings in force on first use."""
    global _current  # noqa: PLW0603 - the one App of a process; see docs/decisions.md
    with _lock:
        if _current is None:
            _current = open_app(load())
        return _current


def configure(settings: Settings) -> App:
    """Use these settings from now on in this process."""
    global _current
    app = open_app(settings)
    with _lock:
        before, _current = _current, app
    if before is not None:
        before.close()
    return app


@contextmanager
def using(app: App) -> Iterator[App]:
    """Make `app` this process's App inside the block."""
    global _current  # noqa: PLW0603
    with _lock:
        before, _current = _current, app
    try:
        yield app
    finally:
        with _lock:
            _current = before
