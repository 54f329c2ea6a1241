"""Cells: nothing in them is taken for a formula, and everything is read as it was written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.audience.roster.cells import guarded, meant, plain, said
from notify.audience.roster.columns import column_of, read

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.text())
def test_no_cell_begins_as_a_formula_does(text: str) -> None:
    assert not guarded(text).startswith(("=", "+", "-", "@", "\t", "\r"))


@given(st.text())
def test_a_text_is_read_as_it_was_written_but_for_the_blanks_at_its_end(text: str) -> None:
    assert plain(guarded(text)) == text.rstrip()


@given(JSON)
def test_a_cell_that_says_what_is_so_leaves_it(value: Any) -> None:
    cell = plain(guarded(said(value)))
    assert cell == "" or meant(cell, value) is value


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("43", 42, 43),
        ("4.5", 42, 4.5),
        ("true", False, True),
        ("true", 1, "true"),
        ("1", True, "1"),
        ('["a"]', ["b"], ["a"]),
        ("many", 42, "many"),
        ("43", "42", "43"),
        ("43", None, "43"),
        ("'=1", None, "'=1"),
    ],
)
def test_a_cell_keeps_the_type_of_what_it_replaces(text: str, before: Any, after: Any) -> None:
    found = meant(text, before)
    assert (type(found), found) == (type(after), after)


@given(st.text(alphabet="abcdefklmnosty_-. =+@", min_size=1).filter(lambda name: name == name.strip()))
def test_the_column_of_an_attribute_is_read_as_that_attribute(name: str) -> None:
    if name in ("key", "locale", "timezone", "address", "tags"):
        return  # no attribute can be called so
    header = ["key", guarded(column_of(name))]
    assert read(header, {}, __file__)[1] == (f"attr.{name}",)  # type: ignore[arg-type]  # only named in errors
