"""The page of reliability shows the report of the latest long run, and the scenarios that there are."""

from __future__ import annotations

import json

import pytest

from tests.chaos.report import COUNTS, PAGE, REPORT, figures, shown
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.stage import Stage
from tests.unit.test_docs import rows

FIELDS = ("id", "name", "passed", *COUNTS, "recovery_p99_s")


def test_the_page_shows_the_report() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert shown(page, json.loads(REPORT.read_text(encoding="utf-8"))) == page


def test_the_page_tells_of_every_scenario() -> None:
    assert [row[0] for row in rows(PAGE, "## The scenarios")] == sorted(SCENARIOS, key=int)


def test_the_report_holds_the_counts_of_each_scenario_under_its_name() -> None:
    found = json.loads(REPORT.read_text(encoding="utf-8"))["scenarios"]
    assert [one["id"] for one in found] == sorted(SCENARIOS, key=int)
    assert sum(one["accepted"] for one in found) >= 1_000_000
    assert sum(one["lost"] + one["unexpected"] for one in found) == 0
    for one in found:
        assert tuple(one) == FIELDS
        assert one["name"] == SCENARIOS[one["id"]].name


@pytest.mark.parametrize(("problems", "verdict"), [([], "passed"), (["lost = 1"], "**failed**")])
def test_a_run_becomes_a_row_and_a_sum(problems: list[str], verdict: str) -> None:
    stage = Stage(long=True, kills=3, recoveries=[1.0, 31.26])
    one = figures(SCENARIOS["1"], stage, problems)
    report = {"at": "2026-11-21T04:00:00+00:00", "cores": 2, "scale": 1.0, "seconds": 120, "scenarios": [one, one]}
    page = shown(PAGE.read_text(encoding="utf-8"), report)
    assert page.count(f"| 1 | {SCENARIOS['1'].name} | 3 | 0 | 0 | 0 | 0 | 0 | 31.3 s | {verdict} |") == 2
    assert f"|  | **together** | 6 | 0 | 0 | 0 | 0 | 0 |  | {verdict} |" in page
