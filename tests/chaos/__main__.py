"""Plays the long form of every scenario, one after the other, shows a table and keeps the counts.

The counts are kept in docs/chaos-report.json and shown in docs/reliability.md, unless only some are played. Exit code 1
when any scenario fails.

\b
Example:
  python -m tests.chaos
  python -m tests.chaos --only 1 --scale 0.1
"""

from __future__ import annotations

import logging
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from tests.chaos import report
from tests.chaos.report import COUNTS
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.services import remove_template
from tests.chaos.stage import Scenario, Stage
from tests.rabbitmq import find_server

NUMBERS = sorted(SCENARIOS, key=int)
WIDTH = 160  # where no terminal says how wide it is


@dataclass
class Played:
    """A scenario, what came of it, and how long it took."""

    scenario: Scenario
    stage: Stage
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


def play(scenario: Scenario, stage: Stage) -> Played:
    """Play it; whatever is raised is a problem, too."""
    began = time.monotonic()
    played = Played(scenario, stage)
    try:
        scenario.play(stage)
    except Exception as error:
        traceback.print_exc()
        stage.problems.append(f"{type(error).__name__}: {error}")
    played.seconds = time.monotonic() - began
    played.problems += stage.problems
    stage.clear()
    if scenario.within is not None and stage.recovery is not None and stage.recovery > scenario.within:
        played.problems.append(f"recovery took {stage.recovery:.1f} s; {scenario.within:.0f} s are allowed")
    return played


def table(played: Sequence[Played]) -> Table:
    """What was counted, for a person."""
    shown = Table(box=SIMPLE, padding=0)
    for name in ("", "scenario", *COUNTS, "recovery p99", "took", ""):
        shown.add_column(name.replace("_", " "), justify="left" if name in ("scenario", "") else "right")
    for one in played:
        figures = report.figures(one.scenario, one.stage, one.problems)
        recovery = figures["recovery_p99_s"]
        shown.add_row(
            one.scenario.id,
            one.scenario.name,
            *(f"{figures[name]:,}" for name in COUNTS),
            "" if recovery is None else f"{recovery:.1f} s",
            f"{one.seconds:.0f} s",
            "[red]failed[/]" if one.problems else "passed",
        )
    return shown


@click.command(help=__doc__)
@click.option(
    "--only", multiple=True, type=click.Choice(sorted(SCENARIOS, key=int)), help="Only this one; may be repeated."
)
@click.option("--scale", type=click.FloatRange(min=0.001), default=1.0, show_default=True, help="Of all counts.")
@click.option("--short", is_flag=True, help="The short forms, as `make test` plays them.")
@click.pass_context
def main(ctx: click.Context, only: Sequence[str], scale: float, short: bool) -> None:
    """The command."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that no service outlives us
    numbers = list(only) or NUMBERS
    if "9" in numbers and find_server() is None:
        raise click.ClickException("scenario 9 needs rabbitmq-server; install it, or name the others with --only")
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    logging.getLogger("notify").setLevel(logging.CRITICAL)  # senders complain of outages: the scenario means them
    played = []
    for number in numbers:
        scenario = SCENARIOS[number]
        console.print(f"{number:>2} {scenario.name} …")
        one = play(scenario, Stage(long=not short, scale=scale))
        console.print(f"   {one.seconds:.0f} s, {one.stage.finding}")
        for problem in one.problems:
            console.print(f"   [red]{problem}[/]")
        played.append(one)
    remove_template()
    console.print(table(played))
    found = [report.figures(one.scenario, one.stage, one.problems) for one in played]
    if not short:
        if only:
            report.replace(found)
        else:
            report.keep(found, scale=scale, seconds=sum(one.seconds for one in played))
        console.print(f"Kept in {report.REPORT} and {report.PAGE}")
    ctx.exit(int(any(one.problems for one in played)))


if __name__ == "__main__":
    main()
