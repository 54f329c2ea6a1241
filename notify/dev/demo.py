"""The main job in miniature: a roster of 500 people, two kinds of mail, and an account of what became of each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from notify.app import App, shipped
from notify.audience.roster.account import Imported
from notify.audience.roster.importing import import_roster
from notify.dev.stack import Stack
from notify.intake.face import send, send_many
from notify.model import MessageState
from notify.store import recipients, tallies
from notify.store.tenants import DEFAULT_ID

PATIENCE_SECONDS = 180.0
POLL_SECONDS = 0.1
STUDY_DAYS = 14
REQUIRED_DAYS = 10
UNDER_WAY = (MessageState.QUEUED, MessageState.SENDING)


@dataclass(frozen=True, slots=True)
class Account:
    """What one run did.

    `kinds` counts messages by kind, state and reason; `in_doubt` were resent after a worker died in the middle of
    their hand-over; `caught` is what the mail catcher got.
    """

    imported: Imported
    kinds: dict[str, dict[str, int]]
    left_over: int
    in_doubt: int
    caught: int
    seconds: float
    finished: bool

    @property
    def sound(self) -> bool:
        """Every message has a final state, and every mail counted as sent was caught."""
        sent = sum(count for states in self.kinds.values() for state, count in states.items() if state == "sent")
        return self.finished and self.caught >= sent

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "imported": {
                "inserted": self.imported.inserted,
                "updated": self.imported.updated,
                "unchanged": self.imported.unchanged,
                "suppressed": self.imported.suppressed,
                "refused": [{"line": row.line, "reason": row.reason} for row in self.imported.refused],
                "duplicates": [{"line": row.line, "reason": row.reason} for row in self.imported.duplicates],
            },
            "kinds": self.kinds,
            "left_over": self.left_over,
            "in_doubt": self.in_doubt,
            "caught": self.caught,
            "seconds": round(self.seconds, 2),
            "finished": self.finished,
        }


def run(stack: Stack, console: Console) -> Account:
    """Import the roster, send two kinds to everyone in it, wait until every message has its final state."""
    app, started = stack.app, time.monotonic()
    left_over = _under_way(app, None)
    if left_over:
        console.print(f"[yellow]An earlier run left {left_over} messages: they go out first.[/yellow]")
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        imported = _import(app, progress)
        sent = _send(app, progress)
        everything = [notification for notifications in sent.values() for notification in notifications]
        finished = _wait(stack, everything, progress)
    return Account(
        imported=imported,
        kinds={kind: _outcomes(app, notifications) for kind, notifications in sent.items()},
        left_over=left_over,
        in_doubt=_doubted(app, everything),
        caught=stack.mailbox.count if stack.mailbox else 0,
        seconds=time.monotonic() - started,
        finished=finished,
    )


def show(account: Account, stack: Stack, console: Console) -> None:
    """Print the account for a person to read."""
    roster, table = account.imported, Table(title="What became of each message", title_justify="left")
    console.print(
        f"\nRoster: {roster.inserted} new, {roster.updated} changed, {roster.unchanged} as before; "
        f"{roster.suppressed} addresses newly suppressed."
    )
    for title, rows in (("not imported", roster.refused), ("repeated rows, the first counts", roster.duplicates)):
        if rows:
            console.print(f"  {len(rows)} {title}, such as line {rows[0].line}: {rows[0].reason}", highlight=False)
    for column, justify in (("kind", "left"), ("planned", "right"), ("outcome", "left"), ("messages", "right")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]  # rich wants its own literal type
    for kind, outcomes in account.kinds.items():
        ranked = sorted(outcomes.items(), key=lambda item: -item[1])
        for row, (outcome, count) in enumerate(ranked):
            first = (kind, str(sum(outcomes.values()))) if row == 0 else ("", "")
            table.add_row(*first, outcome, str(count))
        table.add_section()
    console.print(table)
    if account.in_doubt:
        console.print(
            f"[yellow]{account.in_doubt} in doubt:[/yellow] a worker died between sending and recording, so they were "
            "sent again under the same Message-ID. notify messages show tells which."
        )
    folder = stack.mailbox.folder if stack.mailbox else None
    console.print(f"{account.caught} mails caught in {account.seconds:.1f} s; they lie in [bold]{folder}[/bold]")
    console.print("Next: open one of them, or run `notify dev` and send your own: notify kinds list")


def _import(app: App, progress: Progress) -> Imported:
    task = progress.add_task("Importing the roster (B)")
    return import_roster(
        app,
        shipped("examples/roster.csv"),
        actor="demo",
        progress=lambda done, total: progress.update(task, completed=done, total=total),
    )


def _send(app: App, progress: Progress) -> dict[str, list[UUID]]:
    with app.store.read() as connection:
        keys = recipients.all_keys(connection, DEFAULT_ID)
    task = progress.add_task("Sending daily-progress", total=len(keys))
    welcome = send_many("welcome", keys, {"start_url": "https://app.example.org/start"})
    chance, daily = Random(42), []  # noqa: S311 - made-up figures, the same on every run
    for key in keys:
        daily.append(send("daily-progress", key, _made_up_day(app, chance)).id)
        progress.advance(task)
    return {"welcome": [welcome.id], "daily-progress": daily}


def _made_up_day(app: App, chance: Random) -> dict[str, Any]:
    today = app.clock.now().date()
    days = []
    for back in range(chance.randint(1, STUDY_DAYS), 0, -1):
        retrievals, engagements = chance.randint(0, 6), chance.randint(0, 9)
        active = retrievals >= 1 and engagements >= 3  # noqa: PLR2004 - the study's rule for an active day
        day = {"date": (today - timedelta(days=back)).isoformat(), "retrievals": retrievals, "engagements": engagements}
        days.append({**day, "active": active})
    active_days = sum(bool(day["active"]) for day in days)
    return {
        "day": days[-1]["date"],
        "required": REQUIRED_DAYS,
        "active_days": active_days,
        "on_track": active_days + STUDY_DAYS - len(days) >= REQUIRED_DAYS,
        "days": days,
        "study_url": "https://study.example.org/feed",
        "contact": "study@example.org",
    }


def _wait(stack: Stack, notifications: Sequence[UUID], progress: Progress) -> bool:
    total = _total(stack.app, notifications)
    task, deadline = progress.add_task("Delivering", total=total), time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        stack.processes.tend()
        waiting = _under_way(stack.app, notifications)
        progress.update(task, completed=total - waiting)
        if not waiting and not _under_way(stack.app, None):
            return True
        time.sleep(POLL_SECONDS)
    return False


def _under_way(app: App, notifications: Sequence[UUID] | None) -> int:
    with app.store.read() as connection:
        return sum(count for state, _, count in tallies.tally(connection, notifications) if state in UNDER_WAY)


def _total(app: App, notifications: Sequence[UUID]) -> int:
    with app.store.read() as connection:
        return sum(count for _, _, count in tallies.tally(connection, notifications))


def _doubted(app: App, notifications: Sequence[UUID]) -> int:
    with app.store.read() as connection:
        return tallies.doubted(connection, notifications)


def _outcomes(app: App, notifications: Sequence[UUID]) -> dict[str, int]:
    with app.store.read() as connection:
        tally = tallies.tally(connection, notifications)
    return {f"{state}: {reason}" if reason else state.value: count for state, reason, count in tally}
