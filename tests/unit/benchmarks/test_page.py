"""docs/performance.md shows the figures that were kept last, all of them and no others."""

from __future__ import annotations

import json
import re
from typing import Any

from benchmarks import page
from benchmarks.__main__ import BENCHMARKS, RESULTS

SHOWN = page.PAGE.read_text(encoding="utf-8")


def test_the_page_shows_what_the_latest_run_found() -> None:
    latest = max(RESULTS.glob("*.json"))
    assert page.shown(SHOWN, json.loads(latest.read_text(encoding="utf-8"))) == SHOWN


def test_every_benchmark_has_a_place_on_the_page() -> None:
    assert sorted(re.findall(r"<!-- figures: (\w+) -->", SHOWN)) == sorted([*BENCHMARKS, "targets"])
    assert sorted(page.PARTS) == sorted([*BENCHMARKS, "targets"])


def test_a_benchmark_that_was_not_run_keeps_what_the_page_shows() -> None:
    assert page.shown(SHOWN, {}) == SHOWN


def test_other_figures_are_shown_in_place_of_the_old() -> None:
    other = [{"name": "a mail per fortnight", "asked": "≥ 1", "found": [2.0, 12345.6], "reached": False}]
    assert "| a mail per fortnight | ≥ 1 | 2 · 12,346 | **missed** |" in page.shown(SHOWN, {"targets": other})


def test_a_target_that_nothing_was_measured_for_is_not_said_to_be_missed() -> None:
    other: list[dict[str, Any]] = [{"name": "a mail per fortnight", "asked": "≥ 1", "found": [], "reached": None}]
    assert "| a mail per fortnight | ≥ 1 |  | not measured |" in page.shown(SHOWN, {"targets": other})
