"""Runs `notify …` as real processes, against a test's own installation."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from notify.settings import Settings


def environment(settings: Settings | None = None, **more: str) -> dict[str, str]:
    """This process's environment, with these settings as the only ones of notify's."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NOTIFY_")}
    if settings is not None:
        clean |= {
            "NOTIFY_DATABASE_URL": settings.database,
            "NOTIFY_REDIS_URL": settings.redis,
            "NOTIFY_DATA_DIR": str(settings.data_dir.absolute()),
            "NOTIFY_TEMPLATES_DIR": str(settings.templates_dir.absolute()),
            "NOTIFY_EMAIL_PROVIDERS": ",".join(url.get_secret_value() for url in settings.email_providers),
            "NOTIFY_LEASE_SECONDS": str(settings.lease_seconds),
            "NOTIFY_REPUBLISH_SECONDS": str(settings.republish_seconds),
        }
    return clean | more


@contextmanager
def notify_process(
    *arguments: str, env: Mapping[str, str], cwd: Path, log: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """`notify …` until the block ends; then it is asked to stop, and killed when it does not."""
    with (log or cwd / f"{arguments[0]}.log").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "notify.cli", *arguments],
            env=dict(env),
            cwd=cwd,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def stop(pid: int) -> None:
    """Stop this process, and wait until the last of its threads stands still: the signal alone only asks for it."""
    os.kill(pid, signal.SIGSTOP)
    threads = Path(f"/proc/{pid}/task")
    if threads.is_dir():
        until(lambda: all(_state(thread) in "TZ" for thread in threads.iterdir()), 60, f"process {pid} stopped")


def _state(thread: Path) -> str:
    try:
        return (thread / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
        return "Z"


def tcp_connections(pid: int) -> int:
    """How many TCP connections this process has."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            inodes.add(os.readlink(descriptor).removeprefix("socket:[").removesuffix("]"))
    table = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[9] in inodes for line in table)


def until(true: Callable[[], object], seconds: float, what: str, *, every: float = 0.05) -> None:
    """Wait until `true()`; fail with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"after {seconds} s still not: {what}"
        time.sleep(every)
