"""What send() may bring as data: its types, its normal form, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from notify.errors import InvalidData, InvalidHeader
from tests.unit.kinds.conftest import Workshop

EVERY_TYPE = """
name = "string"
rows = "integer"
share = "number"
done = "boolean"
day = "date"
at = "datetime"
link = "url"
contact = "email"
owner = { type = "object", fields = { id = "integer", team = { type = "string", default = "none" } } }
days = { type = "list", items = { date = "date", active = "boolean" } }
"""
GOOD: dict[str, Any] = {
    "name": "é",
    "rows": 3,
    "share": 0.5,
    "done": True,
    "day": date(2026, 3, 29),
    "at": datetime(2026, 3, 29, 9, 30, tzinfo=timezone(timedelta(hours=2))),
    "link": "https://example.org/a?b=c#d",
    "contact": "ada@example.org",
    "owner": {"id": 7},
    "days": [{"date": "2026-03-28", "active": False}],
}


def test_the_normal_form_is_json_with_iso_dates_and_defaults(workshop: Workshop) -> None:
    workshop.kind(data=EVERY_TYPE)
    normal = workshop.load().validate(GOOD)
    assert json.loads(json.dumps(normal)) == normal
    assert normal["day"] == "2026-03-29"
    assert normal["at"] == "2026-03-29T07:30:00+00:00"
    assert normal["owner"] == {"id": 7, "team": "none"}


def test_the_normal_form_of_a_normal_form_is_itself(workshop: Workshop) -> None:
    workshop.kind(data=EVERY_TYPE)
    kind = workshop.load()
    normal = kind.validate(GOOD)
    assert kind.validate(normal) == normal


def test_stored_data_comes_back_with_dates_as_objects(workshop: Workshop) -> None:
    workshop.kind(data=EVERY_TYPE)
    kind = workshop.load()
    typed = kind.typed(kind.validate(GOOD))
    assert typed["day"] == date(2026, 3, 29)
    assert typed["at"] == datetime(2026, 3, 29, 7, 30, tzinfo=UTC)
    assert typed["days"][0]["date"] == date(2026, 3, 28)


def test_data_stored_before_a_field_was_added_gets_its_default(workshop: Workshop) -> None:
    workshop.kind(data='note = { type = "string", default = "none" }\nrows = "integer"')
    assert workshop.load().typed({"old": 1}) == {"note": "none", "old": 1}


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("name", 3, "name must be a string, not int"),
        ("name", None, "name must be a string, not null"),
        ("name", "a\0b", "name holds NUL"),
        ("name", "a\ud800", "name holds NUL or half a surrogate"),
        ("rows", True, "rows must be an integer, not bool"),
        ("rows", "3", "rows must be an integer, not str"),
        ("rows", 3.0, "rows must be an integer, not float"),
        ("share", float("nan"), "share must be a finite number, not nan"),
        ("share", Decimal("1.5"), "share must be a number, not Decimal"),
        ("done", 1, "done must be true or false, not int"),
        ("day", "29-03-2026", "day must be a date such as 2026-03-29"),
        ("day", datetime(2026, 3, 29, tzinfo=UTC), "day must be a date"),
        ("at", "2026-03-29T09:30:00", "at must have a UTC offset"),
        ("at", datetime.min.replace(tzinfo=timezone(timedelta(hours=2))), "at must lie within the years"),
        ("link", "javascript:alert(1)", "link must be an http or https URL"),
        ("link", "https://exa mple.org", "link must be an http or https URL"),
        ("link", 'https://example.org/"onclick=', "link must be an http or https URL"),
        ("link", "", "link must be an http or https URL"),
        ("contact", "ada", "contact must be an e-mail address"),
        ("owner", [], "owner must be an object, not list"),
        ("owner", {"id": "7"}, "owner.id must be an integer, not str"),
        ("owner", {"id": 7, "taem": "x"}, "owner.taem is not declared; did you mean 'team'?"),
        ("days", {"date": "x"}, "days must be a list, not dict"),
        ("days", [{"date": "2026-03-28", "active": True}, {"date": "x"}], "days[1].active (boolean) is missing"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(workshop: Workshop, field: str, value: Any, complaint: str) -> None:
    workshop.kind(data=EVERY_TYPE)
    with pytest.raises(InvalidData) as caught:
        workshop.load().validate({**GOOD, field: value})
    assert str(caught.value).startswith("x: ")
    assert complaint in str(caught.value)


def test_all_complaints_come_in_one_error(workshop: Workshop) -> None:
    workshop.kind(data='rows = "integer"\ntitle = "string"\nday = "date"')
    with pytest.raises(InvalidData) as caught:
        workshop.load().validate({"rwos": 3, "title": 4})
    complaints = str(caught.value)
    assert "rwos is not declared; did you mean 'rows'?" in complaints
    assert "rows (integer) is missing" in complaints
    assert "title must be a string" in complaints
    assert "day (date) is missing" in complaints


def test_an_empty_default_says_that_there_is_no_link(workshop: Workshop) -> None:
    workshop.kind(data='link = { type = "url", default = "" }')
    assert workshop.load().validate({}) == workshop.load().validate({"link": ""}) == {"link": ""}


def test_an_open_object_takes_any_json(workshop: Workshop) -> None:
    workshop.kind(data='more = "object"\nlist = "list"')
    kind = workshop.load()
    data = {"more": {"a": [1, None, {"b": date(2026, 1, 2)}]}, "list": ["x", 1.5, True]}
    assert kind.validate(data)["more"] == {"a": [1, None, {"b": "2026-01-02"}]}
    with pytest.raises(InvalidData, match="more must be a JSON value, not set"):
        kind.validate({"more": {"a": {1}}, "list": []})


def test_an_endless_object_is_refused(workshop: Workshop) -> None:
    workshop.kind(data='more = "object"')
    endless: dict[str, Any] = {}
    endless["self"] = endless
    with pytest.raises(InvalidData, match="nested deeper than 20 levels"):
        workshop.load().validate({"more": endless})


def test_data_that_is_no_object_is_refused(workshop: Workshop) -> None:
    workshop.kind()
    with pytest.raises(InvalidData, match="data must be an object, not list"):
        workshop.load().validate([])  # type: ignore[arg-type]


@pytest.mark.parametrize("spoiler", ["\r", "\n", "\0", "\r\nBcc: eve@example.org"])
def test_a_line_break_in_what_the_subject_prints_is_refused(workshop: Workshop, spoiler: str) -> None:
    workshop.kind(data='title = "string"\nbody = { type = "string", default = "" }', subject="{{ title }}")
    kind = workshop.load()
    with pytest.raises(InvalidHeader, match="x: title is part of the subject"):
        kind.validate({"title": f"Hi{spoiler}"})


def test_a_line_break_elsewhere_is_fine(workshop: Workshop) -> None:
    workshop.kind(data='body = "string"')
    assert workshop.load().validate({"body": "two\nlines"}) == {"body": "two\nlines"}


def test_the_subject_of_every_locale_counts(workshop: Workshop) -> None:
    workshop.kind(data='title = "string"', email='[email.nl]\nsubject = "{{ title }}"')
    with pytest.raises(InvalidHeader):
        workshop.load().validate({"title": "a\nb"})


def test_a_line_break_in_a_recipient_attribute_of_the_subject_is_refused(workshop: Workshop) -> None:
    workshop.kind(subject="Hi {{ recipient.name }} of {{ recipient['company'] }}")
    kind = workshop.load()
    assert kind.header_fields.recipient == {"name", "company"}
    kind.validate_recipient({"name": "Ada", "about": "two\nlines"})
    with pytest.raises(InvalidHeader, match=r"recipient\.company"):
        kind.validate_recipient({"name": "Ada", "company": "a\r\nb"})


def test_a_subject_that_walks_through_the_recipient_checks_every_attribute(workshop: Workshop) -> None:
    workshop.kind(subject="{% for name in recipient %}{{ recipient[name] }}{% endfor %}")
    with pytest.raises(InvalidHeader):
        workshop.load().validate_recipient({"anything": "a\nb"})


def test_a_rendered_subject_with_a_line_break_is_refused(workshop: Workshop) -> None:
    workshop.kind(subject="{{ recipient.name }}")
    with pytest.raises(InvalidHeader, match="the subject holds CR, LF or NUL"):
        workshop.render(recipient={"name": "a\nb"})
