"""A RabbitMQ node of its own, that can be killed and started again with what it had written."""

from __future__ import annotations

import inspect
import os
import shutil
import signal
import socket
import uuid
from contextlib import suppress
from types import TracebackType

from notify import broker
from tests.chaos.services import PATIENCE_SECONDS, end, public_folder, spawn
from tests.processes import until
from tests.providers import free_port

PLACES = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server")  # Debian's own on the PATH changes the user
START_SECONDS = 90.0


def missing() -> str | None:
    """Why the scenario of RabbitMQ cannot be played here; None when it can."""
    if not any(map(shutil.which, PLACES)):
        return "rabbitmq-server is not installed"
    return None if "x-queue-type" in inspect.getsource(broker) else "notify does not declare quorum queues yet"


class RabbitMQ:
    """Runs until the block ends."""

    def __init__(self) -> None:
        self._command = next(found for place in PLACES if (found := shutil.which(place)))
        self._folder = public_folder("rabbitmq")
        self.port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        (self._folder / "plugins").write_text("[].")
        self._env = {
            **os.environ,
            "HOME": str(self._folder),
            "RABBITMQ_NODENAME": f"chaos-{uuid.uuid4().hex[:8]}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "data"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(self._folder / "no-such-file"),
            "RABBITMQ_CONFIG_FILE": str(self._folder / "no-such-config"),
        }

    def __enter__(self) -> RabbitMQ:
        try:
            self.start()
        except BaseException:
            self._kill(signal.SIGKILL)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill(signal.SIGTERM)
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """With what it had written. Returns once it answers."""
        self._process = spawn([self._command], log=self._folder / "rabbitmq.log", env=self._env, cwd=self._folder)
        until(self._answers, START_SECONDS, f"RabbitMQ answers: {self._folder}/rabbitmq.log")

    def crash(self) -> None:
        """kill -9, of the whole node."""
        self._kill(signal.SIGKILL)

    def _kill(self, how: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, how)  # the script and the node that it started
        end(self._process, how)
        until(lambda: not self._answers(), PATIENCE_SECONDS, "RabbitMQ is gone")

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as line:
                line.settimeout(5)
                line.sendall(b"AMQP\x00\x00\x09\x01")
                return line.recv(1) != b""
        except OSError:
            return False
