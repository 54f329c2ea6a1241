"""Durations: read as they are written."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from notify.settings import duration, written


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("2h", timedelta(hours=2)),
        (" 1d ", timedelta(days=1)),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, span: timedelta) -> None:
    assert duration(text) == span


@pytest.mark.parametrize("text", ["", "5", "0s", "5 m", "-5m", "1.5h", "5min", "5M", "٥m", "1234567s"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as 30s or 5m"):
        duration(text)


@given(count=some.integers(1, 999_999), unit=some.sampled_from("smhd"))
def test_what_is_written_reads_as_the_same(count: int, unit: str) -> None:
    span = duration(f"{count}{unit}")
    assert duration(written(span)) == span


@pytest.mark.parametrize(("text", "short"), [("90s", "90s"), ("120s", "2m"), ("24h", "1d"), ("36h", "36h")])
def test_a_duration_is_written_in_the_largest_unit_that_fits(text: str, short: str) -> None:
    assert written(duration(text)) == short
