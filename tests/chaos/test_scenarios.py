"""The short form of every scenario: seconds each. `make chaos` plays the long forms."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.chaos.scenarios import SCENARIOS
from tests.chaos.services import remove_template
from tests.chaos.stage import Stage
from tests.rabbitmq import find_server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc and stops processes as Linux does")
SLOW_FIRST = sorted(SCENARIOS, key=lambda number: (number not in ("8", "14", "13", "15"), int(number)))


@pytest.fixture(scope="module", autouse=True)
def _template() -> Iterator[None]:
    yield
    remove_template()


@pytest.mark.parametrize("number", SLOW_FIRST)
def test_nothing_is_lost_and_nothing_comes_twice_unnamed(number: str) -> None:
    scenario = SCENARIOS[number]
    if number == "9" and find_server() is None:
        pytest.skip("rabbitmq-server is not installed")
    stage = Stage()
    scenario.play(stage)
    assert stage.problems == []
    stage.clear()
    assert stage.finding.accepted > 0
    if scenario.within is not None and stage.recovery is not None:
        assert stage.recovery <= scenario.within


def test_the_list_is_complete() -> None:
    assert sorted(SCENARIOS, key=int) == [str(number) for number in range(1, 18)]
