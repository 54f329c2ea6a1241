from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import SEEDS, TARGETS

FINDINGS = sorted(path for path in (Path(__file__).parent / "findings").rglob("*") if path.is_file())


@pytest.mark.parametrize("name", TARGETS)
def test_octets_of_any_kind_break_nothing(name: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(st.one_of(st.binary(max_size=300), _cut(SEEDS.get(name, (b"",)))))
    def holds(octets: bytes) -> None:
        TARGETS[name](octets)

    holds()


@st.composite
def _cut(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """A good beginning, something else, and a good end."""
    seed = draw(st.sampled_from(seeds))
    place = draw(st.integers(0, len(seed)))
    return seed[:place] + draw(st.binary(max_size=40)) + seed[place + draw(st.integers(0, 40)) :]


def test_what_was_found_once_is_found_no_more() -> None:
    for path in FINDINGS:
        TARGETS[path.parent.name](path.read_bytes())
