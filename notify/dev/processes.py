"""Worker and beat as real processes: the commands of the Procfile, started again when they die, ended with us."""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PATIENCE_SECONDS = 20.0
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def procfile(path: Path) -> dict[str, list[str]]:
    """The commands of a Procfile, by name. `notify` is run by this very Python."""
    commands = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, command = line.partition(":")
        words = shlex.split(command)
        if words and words[0] == "notify":
            commands[name.strip()] = notify_command(*words[1:])
    return commands


def notify_command(*arguments: str) -> list[str]:
    """`notify …`, run by this very Python, whether or not the script is on the PATH."""
    return [sys.executable, "-m", "notify.cli", *arguments]


class Processes:
    """Runs commands until `stop()`; `tend()` starts again what died."""

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        *,
        env: Mapping[str, str],
        cwd: Path,
        log: Path,
        died: Callable[[str, int], None],
    ) -> None:
        self._commands = commands
        self._env = dict(env)
        self._cwd = cwd
        self._log = log
        self._died = died
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start each command."""
        for name in self._commands:
            self._spawn(name)

    def tend(self) -> None:
        """Start again what died, and say so."""
        for name, process in list(self._running.items()):
            code = process.poll()
            if code is not None:
                self._died(name, code)
                self._spawn(name)

    def stop(self) -> None:
        """End each process by its id: first asked, then, after a while, killed."""
        for process in self._running.values():
            if process.poll() is None:
                process.terminate()
        for process in self._running.values():
            try:
                process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()

    def _spawn(self, name: str) -> None:
        with self._log.open("ab") as log:
            self._running[name] = subprocess.Popen(  # noqa: S603 - our own commands
                self._commands[name],
                env=self._env,
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone: we end them in order
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one call, no locks
            )


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def clean_environment() -> dict[str, str]:
    """This process's environment without any setting of notify's."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith("NOTIFY_")}
