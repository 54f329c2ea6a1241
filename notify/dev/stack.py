"""The whole house on one machine: Valkey, a migrated database, a mail catcher, a worker and beat."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from notify.app import App, open_app, shipped, using
from notify.channels.url import is_loopback, parse
from notify.dev.mailbox import Mailbox
from notify.dev.processes import Processes, clean_environment, notify_command, procfile
from notify.dev.valkey import embedded_valkey
from notify.errors import OperatorError
from notify.settings import PREFIX, Environment, Settings
from notify.store import schema


@dataclass(frozen=True, slots=True)
class Stack:
    """What runs. `mailbox` is None when mail goes to a server of the user's own."""

    app: App
    processes: Processes
    mailbox: Mailbox | None
    log: Path


@contextmanager
def running(
    settings: Settings, *, isolated: bool, died: Callable[[str, int], None], port: int | None = None
) -> Iterator[Stack]:
    """Run what `settings` leave to the embedded default, until the block ends; no process is left behind.

    `isolated` keeps the environment's own NOTIFY_* settings, and `.env`, from the processes. `port` overrides where
    the mail catcher listens (0: a free port).
    """
    if settings.env is Environment.PRODUCTION:
        raise OperatorError(
            "this stack is for development; NOTIFY_ENV is production\nNext: use the Procfile or Compose."
        )
    folder = settings.data_dir.absolute()
    _make_private(folder)
    with ExitStack() as stack:
        stack.enter_context(_owned(folder))
        if settings.redis_url is None:
            stack.enter_context(embedded_valkey(settings.socket, folder / "valkey"))
        mailbox = _mailbox(settings, folder / "mail", port)
        if mailbox is not None:
            stack.enter_context(mailbox)
            settings = _caught_by(mailbox, settings)
        app = open_app(settings)
        stack.callback(app.close)
        if settings.database_url is None:
            schema.upgrade(app.store)
        schema.require_head(app.store)
        log = folder / "processes.log"
        processes = Processes(
            {"worker": notify_command("worker"), "beat": procfile(shipped("Procfile"))["beat"]},
            env={**(clean_environment() if isolated else os.environ), **_environment(settings)},
            cwd=folder if isolated else Path.cwd(),
            log=log,
            died=died,
        )
        stack.callback(processes.stop)
        processes.start()
        stack.enter_context(using(app))
        yield Stack(app, processes, mailbox, log)


def _caught_by(mailbox: Mailbox, settings: Settings) -> Settings:
    """The same settings, with mail going there."""
    catcher = f"smtp://127.0.0.1:{mailbox.port}?connections={settings.worker_concurrency}"  # it is not quick
    return settings.model_copy(update={"email_providers": (SecretStr(catcher), *settings.email_providers[1:])})


def _make_private(folder: Path) -> None:
    """Addresses and mails will lie in it: what has to be made of its path is for its owner alone."""
    for part in (*reversed(folder.parents), folder):
        part.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def _owned(folder: Path) -> Iterator[None]:
    """Hold the data folder; the lock goes with the process, however that ends."""
    with (folder / "owner.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise OperatorError(
                f"another `notify dev` or `notify demo` runs in {folder}\n"
                "Next: stop it, or give this one its own NOTIFY_DATA_DIR."
            ) from None
        yield


def _mailbox(settings: Settings, folder: Path, port: int | None) -> Mailbox | None:
    if port is not None:
        return Mailbox(folder, port=port)
    url = parse(settings.email_providers[0].get_secret_value())
    if url.scheme != "smtp" or url.user or not is_loopback(url.host):
        return None
    return Mailbox(folder, port=url.port or 25)


def _environment(settings: Settings) -> dict[str, str]:
    """What the processes must know of where this stack put things."""
    environment = {
        "DATA_DIR": str(settings.data_dir.absolute()),
        "EMAIL_PROVIDERS": ",".join(url.get_secret_value() for url in settings.email_providers),
    }
    return {PREFIX + name: value for name, value in environment.items()}
