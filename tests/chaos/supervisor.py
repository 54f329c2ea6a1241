"""Starts processes and starts again what died, unattended, as a container runtime would."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.services import PATIENCE_SECONDS, end, spawn
from tests.processes import until

LOOK_SECONDS = 0.1


@dataclass
class Ward:
    """One process to look after. `first` is laid over the environment of its first life only."""

    command: Sequence[str]
    env: Mapping[str, str]
    first: Mapping[str, str]
    process: subprocess.Popen[bytes]
    wanted: bool = True
    codes: list[int] = field(default_factory=list)  # of each life that ended by itself


class Supervisor:
    """Looks after processes until `stop()`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._wards: dict[str, Ward] = {}
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="supervisor", daemon=True)
        self._thread.start()

    def start(
        self, name: str, command: Sequence[str], env: Mapping[str, str], first: Mapping[str, str] | None = None
    ) -> None:
        """Start it, and again whenever it dies."""
        with self._lock:
            process = self._spawn(name, command, {**env, **(first or {})})
            self._wards[name] = Ward(command, env, first or {}, process)

    def pid(self, name: str) -> int:
        """Of its present life."""
        return self._wards[name].process.pid

    def deaths(self, name: str) -> list[int]:
        """The exit codes of its earlier lives."""
        return self._wards[name].codes

    def tell(self, name: str, number: int) -> None:
        """Send a signal to its present life."""
        os.kill(self.pid(name), number)

    def freeze(self, name: str) -> None:
        """SIGSTOP; returns once it stands still."""
        with self._lock:
            self.tell(name, signal.SIGSTOP)
            until(lambda: _state(self.pid(name)) in "TZ", PATIENCE_SECONDS, f"{name} stands still")

    def kill(self, name: str) -> None:
        """kill -9. Returns once it lives again."""
        self._end_this_life(name, signal.SIGKILL)

    def ask_to_stop(self, name: str) -> tuple[int, float]:
        """SIGTERM. Returns once it lives again: with which code it ended, and how many seconds that took."""
        return self._end_this_life(name, signal.SIGTERM)

    def dismiss(self, name: str, how: int = signal.SIGTERM) -> int:
        """End it for good; returns its exit code."""
        with self._lock:
            ward = self._wards[name]
            ward.wanted = False
        return end(ward.process, how)

    def stop(self) -> None:
        """End everything."""
        with self._lock:
            for ward in self._wards.values():
                ward.wanted = False
                if ward.process.poll() is None:
                    ward.process.send_signal(signal.SIGCONT)
                    ward.process.terminate()
            for ward in self._wards.values():
                end(ward.process)
        self._over.set()  # not before: who has its parent thread's death as a signal would die of it
        self._thread.join()

    def _end_this_life(self, name: str, how: int) -> tuple[int, float]:
        ward, began = self._wards[name], time.monotonic()
        process = ward.process
        process.send_signal(how)
        code = process.wait()
        took = time.monotonic() - began
        until(lambda: ward.process is not process, PATIENCE_SECONDS, f"{name} is started again")
        return code, took

    def _look(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            with self._lock:
                for name, ward in self._wards.items():
                    code = ward.process.poll()
                    if code is not None and ward.wanted:
                        ward.codes.append(code)
                        ward.process = self._spawn(name, ward.command, ward.env)

    def _spawn(self, name: str, command: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        return spawn(command, log=self._folder / f"{name}.log", env=dict(env), cwd=self._folder)


def _state(pid: int) -> str:
    """One letter, as in ps (proc_pid_stat(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
