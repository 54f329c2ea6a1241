"""categories.toml: what it may say, how a mistake in it is named, and what kinds make of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from notify.errors import InvalidKind
from notify.kinds import Catalogue, Category, Over
from notify.model import Channel
from notify.rates import Rate
from tests.unit.kinds.conftest import Workshop
from tests.unit.kinds.test_check import LOCALES, SHIPPED, complaints
from tests.unit.kinds.test_rendering import PO

ENTRY = """
[test]
title = "Tests"
description = "What is tested."
required = true
default = { email = false, sms = true }
throttle = "3/d"
over = "skip"
"""


def test_an_entry_says_everything_about_its_category(workshop: Workshop) -> None:
    workshop.kind()
    workshop.write({"categories.toml": ENTRY})
    found = workshop.catalogue.category("test")
    assert (found.title, found.description, found.required) == ("Tests", "What is tested.", True)
    assert found.default == {Channel.EMAIL: False, Channel.SMS: True}
    assert (found.throttle, found.over, found.channels) == (Rate(3, 86400), Over.SKIP, (Channel.EMAIL,))


def test_a_category_in_use_needs_no_entry_and_has_its_name_as_title(workshop: Workshop) -> None:
    workshop.kind()
    found = workshop.catalogue.categories()
    assert list(found) == ["test"]
    assert (found["test"].title, found["test"].required, found["test"].place) == ("test", False, None)


def test_a_category_that_nothing_names_has_its_name_as_title(workshop: Workshop) -> None:
    workshop.kind()
    assert workshop.catalogue.category("other") == Category("other", "other")


def test_every_kind_of_a_required_category_is_required(workshop: Workshop) -> None:
    workshop.kind()
    assert not workshop.load().facts.required
    workshop.write({"categories.toml": "[test]\nrequired = true"})
    assert workshop.load().facts.required


def test_a_category_of_required_kinds_alone_is_required(workshop: Workshop) -> None:
    workshop.kind(toml="required = true")
    assert workshop.catalogue.category("test").required


def test_a_category_tells_that_a_kind_of_it_asks_for_consent(workshop: Workshop) -> None:
    workshop.kind(toml="consent = true")
    assert workshop.catalogue.category("test").consent


def test_what_is_required_cannot_ask_for_consent(workshop: Workshop) -> None:
    workshop.kind(toml="consent = true")
    workshop.write({"categories.toml": "[test]\nrequired = true"})
    with pytest.raises(InvalidKind, match="nobody can be asked for consent to what is required"):
        workshop.load()


def test_no_kind_belongs_to_the_category_all(workshop: Workshop) -> None:
    workshop.kind()
    path = workshop.folder / "x" / "kind.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('"test"', '"all"'), encoding="utf-8")
    with pytest.raises(InvalidKind, match="'all' is no name for a category"):
        workshop.load()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('test = "x"', "categories.toml:1: test must be a table: write [test] and its keys below"),
        ("[all]", "categories.toml:1: 'all' is no name for a category"),
        ('[test]\ntitel = "x"', "categories.toml:2: titel is not a key of [test]; did you mean 'title'?"),
        ("[test]\ntitle = 3", "categories.toml:2: title must be a line of text"),
        ('[test]\ntitle = " "', "categories.toml:2: title must be a line of text"),
        ('[test]\nrequired = "yes"', "categories.toml:2: required must be true or false, not 'yes'"),
        ('[test]\nover = "skipp"', "categories.toml:2: over cannot be 'skipp'; did you mean 'skip'?"),
        ('[test]\nover = "collect"', "categories.toml:2: over: this version has no digests to collect it in"),
        ('[test]\nthrottle = "3 a day"', "categories.toml:2: throttle: write a rate as a number per s, m, h or d"),
        ("[test]\nthrottle = 3", "categories.toml:2: throttle: write a rate"),
        ("[test]\ndefault = true", "categories.toml:2: default must be a table such as { email = true }"),
        (
            "[test]\ndefault = { emial = true }",
            "categories.toml:2: default: 'emial' is not a channel; did you mean 'email'?",
        ),
        ('[test]\ndefault = { email = "on" }', "categories.toml:2: default: email must be true or false, not 'on'"),
        ("[test", "categories.toml: Expected"),
    ],
)
def test_a_mistake_is_named_with_its_line(workshop: Workshop, text: str, complaint: str) -> None:
    workshop.kind(sample={})
    workshop.write({"categories.toml": text})
    assert complaint in complaints(workshop)
    with pytest.raises(InvalidKind):
        workshop.load()


def test_a_title_that_a_catalogue_beside_it_leaves_out_is_a_problem(workshop: Workshop) -> None:
    workshop.kind(sample={})
    workshop.write({"categories.toml": '\n[test]\ntitle = "Tests"', "locales/cs/LC_MESSAGES/messages.po": PO})
    (problem,) = workshop.catalogue.check()
    assert (problem.file.name, problem.line, problem.text) == (
        "categories.toml",
        2,
        "not translated into cs: 'Tests'",
    )


def test_ones_own_entry_comes_before_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "categories.toml").write_text('[jobs]\ntitle = "Work"', encoding="utf-8")
    found = Catalogue([tmp_path, SHIPPED]).categories()
    assert found["jobs"].title == "Work"
    assert found["account"].title == "Your account"


def test_a_broken_kind_does_not_hide_the_categories_of_the_others(workshop: Workshop) -> None:
    workshop.kind()
    workshop.write({"broken/kind.toml": "title ="})
    assert list(workshop.catalogue.categories()) == ["test"]


@pytest.mark.parametrize("locale", LOCALES)
def test_the_shipped_categories_have_titles_in_every_language(locale: str) -> None:
    catalogue = Catalogue([SHIPPED])
    translated = catalogue.words(locale)
    titles = [translated(category.title) for category in catalogue.categories().values()]
    assert len(titles) == 3
    assert (titles == [category.title for category in catalogue.categories().values()]) is (locale == "en")
