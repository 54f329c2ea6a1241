"""The counts of a run as JSON, and the same counts as the table of docs/reliability.md."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.chaos.stage import Scenario, Stage

DOCS = Path(__file__).parents[2] / "docs"
REPORT, PAGE = DOCS / "chaos-report.json", DOCS / "reliability.md"
COUNTS = ("kills", "accepted", "lost", "unexpected", "duplicates", "in_doubt")
MARKS = ("<!-- the latest long run -->\n", "<!-- written by make chaos -->\n")


def figures(scenario: Scenario, stage: Stage, problems: Sequence[str]) -> dict[str, Any]:
    """One scenario, as the report has it. `kills` are deaths of processes, stops and outages."""
    recovery = stage.recovery
    return {
        "id": scenario.id,
        "name": scenario.name,
        "passed": not problems,
        "kills": stage.kills,
        **{name: getattr(stage.finding, name) for name in COUNTS[1:]},
        "recovery_p99_s": None if recovery is None else round(recovery, 1),
    }


def keep(scenarios: Sequence[Mapping[str, Any]], *, scale: float, seconds: float) -> None:
    """Write the report, and its table into the page."""
    report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "scale": scale,
        "seconds": round(seconds),
        "scenarios": list(scenarios),
    }
    _write(report)


def replace(scenarios: Sequence[Mapping[str, Any]]) -> None:
    """Put these in place of the same ones in the report; the others keep what their own run found."""
    report = json.loads(REPORT.read_text(encoding="utf-8"))
    fresh = {one["id"]: one for one in scenarios}
    report["scenarios"] = [fresh.get(one["id"], one) for one in report["scenarios"]]
    _write(report)


def _write(report: Mapping[str, Any]) -> None:
    REPORT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    PAGE.write_text(shown(PAGE.read_text(encoding="utf-8"), report), encoding="utf-8")


def shown(page: str, report: Mapping[str, Any]) -> str:
    """The page with this report in place of the one it shows."""
    begin, end = MARKS
    return re.sub(f"(?s)(?<={begin}).*(?={end})", lambda _: _told(report), page)


def _told(report: Mapping[str, Any]) -> str:
    scenarios: Sequence[Mapping[str, Any]] = report["scenarios"]
    if not scenarios:
        return "No long run is published for this version yet.\n"
    sums = {name: sum(one[name] for one in scenarios) for name in COUNTS}
    together = {"id": "", "name": "**together**", "passed": all(one["passed"] for one in scenarios), **sums}
    lines = [
        f"Run of {report['at'][:10]} on {report['cores']} cores, in {report['seconds'] / 60:.0f} minutes"
        + (f", at {report['scale']:g} of the full size:" if report["scale"] != 1 else ":"),
        "",
        "| | scenario | kills | accepted | lost | unexpected | duplicates | in doubt | recovery p99 | |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_row(one) for one in [*scenarios, together]),
    ]
    return "".join(f"{line}\n" for line in lines)


def _row(one: Mapping[str, Any]) -> str:
    recovery = one.get("recovery_p99_s")
    cells = (
        one["id"],
        one["name"],
        *(f"{one[name]:,}" for name in COUNTS),
        "" if recovery is None else f"{recovery} s",
        "passed" if one["passed"] else "**failed**",
    )
    return f"| {' | '.join(cells)} |"
