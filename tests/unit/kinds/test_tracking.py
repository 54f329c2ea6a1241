"""A kind is tracked where it says so, and one that nobody can leave only where it says so twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from notify.errors import InvalidKind
from notify.kinds import Catalogue
from notify.model import Tracking
from tests.kinds import make_kind

NO_CHOICE = ("required = true", "critical = true")


def catalogue(folder: Path) -> Catalogue:
    return Catalogue([folder], default_locale="en", default_timezone="UTC")


def test_nothing_is_tracked_unless_the_kind_asks_for_it(tmp_path: Path) -> None:
    make_kind(tmp_path, "quiet")
    make_kind(tmp_path, "opens", toml="transactional = true\ntracking = { opens = true }")
    make_kind(tmp_path, "both", toml="transactional = true\ntracking = { opens = true, clicks = true }")
    kinds = catalogue(tmp_path)
    assert [kinds.get(name).facts.tracking for name in ("quiet", "opens", "both")] == [
        Tracking(),
        Tracking(opens=True),
        Tracking(opens=True, clicks=True),
    ]


@pytest.mark.parametrize("no_choice", NO_CHOICE)
def test_what_nobody_can_leave_is_tracked_only_when_that_is_said(tmp_path: Path, no_choice: str) -> None:
    toml = f"transactional = true\n{no_choice}\ntracking = {{ clicks = true, although_required = %s }}"
    make_kind(tmp_path, "meant", toml=toml % "true")
    make_kind(tmp_path, "strayed", toml=toml % "false")
    assert catalogue(tmp_path).get("meant").facts.tracking.clicks
    with pytest.raises(InvalidKind, match="although_required = true"):
        catalogue(tmp_path).get("strayed")
    [problem] = catalogue(tmp_path).check("strayed")
    assert "tracking" in str(problem)


def test_a_category_that_is_required_counts_as_well(tmp_path: Path) -> None:
    make_kind(tmp_path, "news", toml="transactional = true\ntracking = { opens = true }")
    (tmp_path / "categories.toml").write_text('[test]\ntitle = "Test"\nrequired = true\n')
    with pytest.raises(InvalidKind, match="is required"):
        catalogue(tmp_path).get("news")


@pytest.mark.parametrize(
    ("table", "complaint"),
    [("{ open = true }", "did you mean"), ('{ opens = "yes" }', "true or false"), ("true", "must be a table")],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, table: str, complaint: str) -> None:
    make_kind(tmp_path, "news", toml=f"transactional = true\ntracking = {table}")
    with pytest.raises(InvalidKind, match=r"kind\.toml:5: ") as caught:
        catalogue(tmp_path).get("news")
    assert complaint in str(caught.value)
