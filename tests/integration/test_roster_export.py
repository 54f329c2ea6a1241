"""Export: everyone, streamed, harmless in a spreadsheet, and read back to no change."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notify.app import App
from notify.audience.roster.exporting import export_csv, export_lines
from notify.audience.roster.importing import import_roster
from notify.errors import InvalidRecipient
from notify.model import Author, Channel, Source, Suppression
from notify.store import recipients, roster_pages, suppressions, tenants
from notify.store.recipients import Change
from notify.store.tenants import DEFAULT_ID

BY = Author("ada", Source.CLI)
WORDS = st.text(alphabet=st.sampled_from("ab1=+-@'\t\r\n \";,é李{[null"), max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)


def changed(app: App, *changes: Change, tenant: str | None = None) -> None:
    with app.store.begin() as connection:
        recipients.apply(connection, tenants.tenant_id(connection, tenant), changes, app.clock.now(), by=BY)


def exported(app: App, **options: Any) -> list[list[str]]:
    out = io.StringIO(newline="")
    export_csv(app, out, **options)
    return list(csv.reader(io.StringIO(out.getvalue(), newline="")))


def test_everyone_goes_out_in_the_order_of_their_keys_with_every_attribute(app: App) -> None:
    with app.store.begin() as connection:
        suppressed = [
            Suppression(Channel.EMAIL, "b@example.org", "complained", "x"),
            Suppression(Channel.EMAIL, "c@example.org", "an operator's word", "x"),
            Suppression(Channel.EMAIL, "d@example.org", "unsubscribed", "x", scope="newsletter"),
            Suppression(Channel.EMAIL, "e@example.org", "bounced", "x", expires_at=app.clock.now()),
        ]
        suppressions.add(connection, DEFAULT_ID, suppressed, app.clock.now())
    changed(
        app,
        Change("b", addresses={Channel.EMAIL: "B@example.org"}, attributes={"zip": "2", "age": 30}),
        Change("a", "nl", "Europe/Paris", {"name": "Ada", "language": "Ada"}, ("x", "y"), active=False),
        Change("c", addresses={Channel.EMAIL: "c@example.org"}),
        Change("d", addresses={Channel.EMAIL: "d@example.org"}),
        Change("e", addresses={Channel.EMAIL: "e@example.org"}),
    )
    assert exported(app) == [
        ["key", "email", "name", "locale", "timezone", "tags", "status", "age", "attr.language", "zip"],
        ["a", "", "Ada", "nl", "Europe/Paris", "x;y", "inactive", "", "Ada", ""],
        ["b", "B@example.org", "", "", "", "", "complained", "30", "", "2"],
        ["c", "c@example.org", "", "", "", "", "suppressed", "", "", ""],
        ["d", "d@example.org", "", "", "", "", "active", "", "", ""],
        ["e", "e@example.org", "", "", "", "", "active", "", "", ""],
    ]


def test_phone_numbers_have_a_column_when_anyone_has_one(app: App) -> None:
    changed(app, Change("a", addresses={Channel.SMS: "+31612345678"}))
    assert exported(app) == [
        ["key", "email", "phone", "name", "locale", "timezone", "tags", "status"],
        ["a", "", "'+31612345678", "", "", "", "", "active"],
    ]


@pytest.mark.parametrize("danger", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_what_a_spreadsheet_would_run_has_an_apostrophe_before_it(app: App, danger: str) -> None:
    changed(app, Change("=key", attributes={"note": danger, "=note": "x", "number": -5}))
    assert exported(app)[0][-3:] == ["'=note", "note", "number"]
    assert exported(app)[1][0] == "'=key"
    assert exported(app)[1][-3:] == ["x", f"'{danger}", "'-5"]


def test_tags_choose_who_goes_out_and_what_attributes(app: App) -> None:
    changed(app, Change("a", tags=("x",)), Change("b", attributes={"floor": 1}, tags=("y",)), Change("c"))
    assert [row[0] for row in exported(app, tags=["x", "z"])] == ["key", "a"]
    assert "floor" not in exported(app, tags=["x"])[0]
    assert [row["key"] for row in export_lines(app, tags=["x", "y"])] == ["a", "b"]
    with pytest.raises(InvalidRecipient, match="a tag must have"):
        exported(app, tags=[""])


def test_json_lines_keep_the_types(app: App) -> None:
    attributes = {"name": "Ada", "floor": 3, "scores": [1.5, None], "of": {"x": True}}
    changed(app, Change("a", attributes=attributes, tags=("x", "y")))
    [row] = export_lines(app)
    assert (row["attributes"], row["tags"], row["status"]) == (attributes, ["x", "y"], "active")


def test_another_tenants_people_stay_out(app: App) -> None:
    with app.store.begin() as connection:
        tenants.add(connection, "lab", app.clock.now())
    changed(app, Change("a"))
    changed(app, Change("b", attributes={"floor": 1}), tenant="lab")
    assert [row[0] for row in exported(app)] == ["key", "a"]
    assert [row[0] for row in exported(app, tenant="lab")] == ["key", "b"]


def test_pages_follow_each_other_without_gaps(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster_pages, "PAGE", 2)
    roster_pages._page.cache_clear()
    try:
        keys = ["B", "a", "A", "é", "z", "Z z", "1"]
        changed(app, *(Change(key) for key in keys))
        assert sorted(row[0] for row in exported(app)[1:]) == sorted(keys)
    finally:
        roster_pages._page.cache_clear()


def test_an_exported_roster_changes_nothing_when_it_is_imported(app: App, tmp_path: Path) -> None:
    changed(
        app,
        Change("'=1", "nl", None, {"name": "=Ada", "status": "fine", "key2": " padded ", "data": [1]}, ("a;b", "c")),
        Change("b", addresses={Channel.EMAIL: "žofie@exämple.org"}, attributes={"line": "x", "reason": None}),
        Change("c", addresses={Channel.EMAIL: "c@example.org"}, active=False),
    )
    with app.store.begin() as connection:
        one = Suppression(Channel.EMAIL, "c@example.org", "manual", "x")
        suppressions.add(connection, DEFAULT_ID, [one], app.clock.now())
    _reimported(app, tmp_path, 3)


@given(
    st.dictionaries(
        st.text(alphabet="abkey=+-'éxyz", min_size=1, max_size=5),
        st.tuples(
            st.dictionaries(st.sampled_from(["name", "note", "floor", "=x", "status", "Mail", "attr.x"]), VALUES),
            st.lists(st.sampled_from(["vip", "a;b", "=t", "x"]), max_size=3, unique=True),
        ),
        min_size=1,
        max_size=5,
    )
)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_known_of_people_is_read_back_to_no_change(
    app: App, tmp_path: Path, people: dict[str, tuple[dict[str, Any], list[str]]]
) -> None:
    with app.store.begin() as connection:
        connection.exec_driver_sql("DELETE FROM recipients")
    changes = [
        Change(key, attributes={n: v for n, v in said.items() if n != "name" or _one_line(v)}, tags=tuple(tags))
        for key, (said, tags) in people.items()
    ]
    changed(app, *changes)
    _reimported(app, tmp_path, len(people))


def _one_line(value: Any) -> bool:
    """What a name is: send() takes no other."""
    return isinstance(value, str) and not set(value) & set("\t\r\n")


def _reimported(app: App, folder: Path, count: int) -> None:
    path = folder / "out.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        assert export_csv(app, file) == count
    result = import_roster(app, path, actor="ada")
    assert (result.refused, result.unchanged) == ([], count)
    assert (result.inserted, result.updated, result.suppressed) == (0, 0, 0)
