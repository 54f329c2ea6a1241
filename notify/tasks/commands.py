"""`notify worker`, `notify beat`, `notify flower`: the processes of the Procfile, with the flags they need."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import click

from notify import telemetry
from notify.app import App, configure, current
from notify.broker import SYSTEM, celery, declare, queues
from notify.errors import InvalidKind, InvalidSettings, Unreachable
from notify.feedback import mailboxes
from notify.intake import footing
from notify.model import Lane
from notify.settings import Environment, load
from notify.store import schema
from notify.tasks import process, ticks

LANES = (*Lane, SYSTEM)
BULK_NICENESS = 10  # a mailout may take all the CPU time that nobody else wants


def _lanes(_context: click.Context, _option: click.Parameter, given: str) -> tuple[str, ...]:
    lanes = tuple(dict.fromkeys(lane.strip() for lane in given.split(",") if lane.strip()))
    unknown = [lane for lane in lanes if lane not in LANES]
    if unknown or not lanes:
        raise click.BadParameter(f"{', '.join(unknown) or 'nothing'} is no lane; lanes are {', '.join(LANES)}")
    return lanes


@click.command(
    epilog="\b\nExample:\n  notify worker                        every lane, in one process\n"
    "  notify worker --lanes critical,system"
)
@click.option(
    "--lanes",
    default=",".join(LANES),
    show_default=True,
    callback=_lanes,
    help="Lanes to work on, separated by commas; 'system' runs beat's ticks.",
)
@click.option("--concurrency", type=click.IntRange(min=1), help="Threads. [default: NOTIFY_WORKER_CONCURRENCY]")
def worker(lanes: Sequence[str], concurrency: int | None) -> None:
    """Work: deliver batches, run ticks. A worker for bulk alone gives way to others on the same machine (nice)."""
    if concurrency:
        configure(load(worker_concurrency=concurrency))  # the pool of database connections is sized by it, too
    app = _started()
    _require_sound_kinds(app)
    _require_our_queues(app)
    if SYSTEM in lanes:
        mailboxes.configured(app.settings)  # its ticks read them
    if set(lanes) == {Lane.BULK}:
        os.nice(BULK_NICENESS)
    threads = app.settings.worker_concurrency
    _run(
        [
            *("worker", "--pool", "threads", "--concurrency", str(threads), "--loglevel", "WARNING"),
            *("--hostname", f"{'-'.join(lanes)}-{os.getpid()}@%h", "--queues", ",".join(queues(lanes))),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ]
    )


@click.command(epilog="\b\nExample:\n  notify beat")
def beat() -> None:
    """Tick: beat's timetable, as beat_schedule.py writes it down."""
    app = _started()
    _require_our_queues(app)
    celery.conf.beat_schedule = ticks.timetable(app.settings.beat_schedule)
    _run(["beat", "--loglevel", "WARNING"])


@click.command(epilog="\b\nExample:\n  notify flower")
def flower() -> None:
    """Watch: Flower, Celery's own console."""
    app = _started()
    settings = app.settings
    if settings.env is Environment.PRODUCTION and settings.flower_basic_auth is None:
        raise InvalidSettings(
            "NOTIFY_FLOWER_BASIC_AUTH: Flower can stop tasks, so production wants `user:password`\n"
            "Next: set it, or leave Flower out of the Procfile."
        )
    authentication = (
        [f"--basic-auth={settings.flower_basic_auth.get_secret_value()}"] if settings.flower_basic_auth else []
    )
    _run(["flower", f"--address={settings.web_host}", f"--port={settings.flower_port}", *authentication])


def _started() -> App:
    app = current()
    telemetry.start(app.settings)
    schema.require_head(app.store)
    return app


def _require_sound_kinds(app: App) -> None:
    """In production a kind that fails its check stops the worker; in development it is only announced."""
    problems = [*app.kinds.check(), *footing.lacking(app)]
    for problem in problems:
        telemetry.emit("kind.invalid", kind=problem.kind, problem=str(problem))
    if problems and app.settings.env is Environment.PRODUCTION:
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise InvalidKind(
            f"these kinds fail their check, so this worker does not start:\n{listed}\nNext: notify kinds check"
        )


def _require_our_queues(app: App) -> None:
    """What no waiting would mend stops the process; for a broker that is away it waits, as Celery does."""
    with suppress(Unreachable):
        declare(app.settings)


def _run(arguments: list[str]) -> None:
    assert process.worker is not None, "the task modules are loaded"
    sys.exit(celery.start(arguments))
