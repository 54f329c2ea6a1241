"""`notify demo` and `notify dev`: the whole house on this machine, for a look and for developing against."""

from __future__ import annotations

import email
import email.policy
import json
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from notify import telemetry
from notify.dev import demo as demonstration
from notify.dev.mailbox import Mailbox
from notify.dev.stack import Stack, running
from notify.settings import load

TEND_SECONDS = 0.5
FOLDER = Path(".notify/demo")
EMBEDDED = {"env": "development", "database_url": None, "redis_url": None, "broker_url": None}  # whatever is set here


@click.command(
    epilog="\b\nExample:\n  notify demo\n  notify demo --json > account.json\n\n"
    "Exit code 0 when every message has a final state."
)
@click.option("--json", "as_json", is_flag=True, help="Print the account as JSON.")
def demo(as_json: bool) -> None:
    """Show the whole pipeline: 500 recipients, two kinds, caught mails."""
    console = Console(stderr=as_json)
    settings = load(env_file=None, data_dir=FOLDER, templates_dir=FOLDER / "templates", **EMBEDDED)
    with _terminable(), running(settings, isolated=True, died=_announcing(console), port=0) as stack:
        console.print(
            f"notify demo: Valkey, SQLite, a mail catcher, a worker and beat, in {settings.data_dir.absolute()}"
        )
        account = demonstration.run(stack, console)
        if as_json:
            click.echo(json.dumps(account.as_json(), indent=2))
        else:
            demonstration.show(account, stack, console)
    if not account.sound:
        console.print(f"[red]Not every message came through.[/red] Next: read {stack.log}")
        sys.exit(1)


@click.command(epilog="\b\nExample:\n  notify dev      (in another terminal: notify send welcome --to …)")
def dev() -> None:
    """Run the same stack until Ctrl-C, for an application to send to."""
    console, settings = Console(), load()
    telemetry.start(settings)
    with _terminable() as ended, running(settings, isolated=False, died=_announcing(console)) as stack:
        _welcome(stack, console)
        shown: set[Path] = set(stack.mailbox.folder.glob("*.eml")) if stack.mailbox else set()
        try:
            while not ended.wait(TEND_SECONDS):
                stack.processes.tend()
                if stack.mailbox:
                    _show_new(stack.mailbox, shown, console)
        except KeyboardInterrupt:
            pass
        if stack.mailbox:
            _show_new(stack.mailbox, shown, console)
        console.print("Stopping…")


def _welcome(stack: Stack, console: Console) -> None:
    settings = stack.app.settings
    mails = f"mails are caught in {stack.mailbox.folder}" if stack.mailbox else "mails go to your own provider"
    console.print(f"[bold]notify dev[/bold] runs: a worker and beat; {mails}")
    console.print(f"Settings: data in {settings.data_dir.absolute()}; what the processes say: {stack.log}")
    console.print("An application started in this folder sends here. Ctrl-C stops everything.\n")


def _show_new(mailbox: Mailbox, shown: set[Path], console: Console) -> None:
    for path in sorted(set(mailbox.folder.glob("*.eml")) - shown, key=lambda path: path.stat().st_mtime):
        shown.add(path)
        mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        console.print(f"[green]✉[/green] {mail['to']}: {mail['subject']}  [dim]{path.name}[/dim]", highlight=False)


def _announcing(console: Console) -> Callable[[str, int], None]:
    def died(name: str, code: int) -> None:
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        console.print(f"[yellow]The {name} ended {how}; it is started again.[/yellow]")

    return died


class _terminable:  # noqa: N801 - reads as a verb in its `with`
    """SIGTERM ends the block in order, as Ctrl-C does; gives the event that is set then."""

    def __enter__(self) -> threading.Event:
        self._ended = threading.Event()
        self._before = signal.signal(signal.SIGTERM, self._terminate)
        return self._ended

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._before)

    def _terminate(self, *_: object) -> None:
        self._ended.set()
        raise KeyboardInterrupt
