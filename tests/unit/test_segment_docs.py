"""The page about segments says what the language does: every example is read, every complaint is the one that comes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from notify.audience.segments import parse
from notify.audience.segments.fields import FIELDS, REACHED
from notify.audience.segments.grammar import DEEPEST, MOST_TERMS
from notify.audience.segments.tokens import LONGEST
from notify.cli import cli
from notify.errors import InvalidSegment
from notify.model.segment import Engagement
from tests.unit.test_docs import plain, rows

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "segments.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = [line.removeprefix("$ ") for sort, body in BLOCKS if sort == "console" for line in body.splitlines()]


@pytest.mark.parametrize("expression", [body for sort, body in BLOCKS if sort == "segment"])
def test_an_example_of_the_page_is_read(expression: str) -> None:
    parse(expression)


@pytest.mark.parametrize("expression", [plain(cells[0]) for cells in rows(PAGE, "## Conditions")])
def test_a_condition_of_the_page_is_read(expression: str) -> None:
    parse(expression)


@pytest.mark.parametrize(("expression", "complaint"), rows(PAGE, "## Mistakes"))
def test_a_mistake_of_the_page_is_answered_with_its_complaint(expression: str, complaint: str) -> None:
    with pytest.raises(InvalidSegment, match=re.escape(complaint)):
        parse(plain(expression))


def test_the_mistake_that_is_drawn_is_drawn_so() -> None:
    [drawn] = [body for sort, body in BLOCKS if sort == "text"]
    with pytest.raises(InvalidSegment) as refused:
        parse(drawn.splitlines()[1].strip())
    assert str(refused.value) == drawn.rstrip("\n")


def test_the_limits_of_the_page_are_those_of_the_code() -> None:
    assert f"at most {LONGEST:,} characters, {MOST_TERMS} conditions, and {DEEPEST} parentheses" in TEXT


def test_the_page_tells_of_every_kind_of_engagement_and_address() -> None:
    assert [word for word in (*Engagement, *REACHED) if f"`{word}`" not in TEXT and f" {word}`" not in TEXT] == []


def test_the_reference_has_every_field() -> None:
    named = [plain(cells[0]) for cells in rows(DOCS / "reference" / "segments.md")]
    assert list(dict.fromkeys(named)) == list(FIELDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_has_the_arguments_that_it_takes(command: str) -> None:
    _, *arguments = shlex.split(command)
    context, left = click.Context(cli), arguments
    while isinstance(context.command, click.Group):
        found = context.command.get_command(context, left[0])
        assert found is not None
        context, left = click.Context(found, info_name=left[0]), left[1:]
    context.command.parse_args(context, left)
