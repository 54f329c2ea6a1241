"""The documents say what the code says: states, words, settings, telemetry events, examples."""

from __future__ import annotations

import ast
import csv
import logging
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from notify.cli import env_file
from notify.model import TRANSITIONS, MessageState
from notify.settings import OTHER_NAMES, PREFIX, Settings
from notify.telemetry import EVENTS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "examples").glob("*.md")])
WORDS = (
    *("Recipient", "Address", "Kind", "Notification", "Message", "Batch", "Attempt", "Event", "Channel", "Provider"),
    *("Lane", "Suppression", "Preference", "Consent", "Dead letter", "In doubt", "Journal"),
    *("Mailout", "Digest", "Snapshot"),
)
STEPS = {(before.value, after.value) for before, followers in TRANSITIONS.items() for after in followers}


def rows(page: Path, heading: str = "") -> list[list[str]]:
    """The cells of the first table below `heading`, without its own heading."""
    text = page.read_text(encoding="utf-8")
    below = text[text.index(f"{heading}\n") :] if heading else text
    table = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert table, f"no table below {heading!r} in {page}"
    lines = table[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def plain(cell: str) -> str:
    return cell.strip("`*")


# states


def test_the_table_of_message_states_is_the_one_in_the_code() -> None:
    written = [(plain(before), plain(after)) for before, after in rows(DOCS / "architecture.md", "### Message states")]
    assert Counter(written) == Counter(STEPS)


def test_the_drawing_of_message_states_is_the_one_in_the_code() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    drawing = re.search(r"stateDiagram-v2\n(.*?)```", text, re.DOTALL)
    assert drawing
    arrows = re.findall(r"^\s*(\S+) --> (\w+)", drawing[1], re.MULTILINE)
    assert {arrow for arrow in arrows if arrow[0] != "[*]"} == STEPS
    assert {after for before, after in arrows if before == "[*]"} == {MessageState.QUEUED, MessageState.SKIPPED}


# words


def test_the_glossary_explains_every_word_of_the_design() -> None:
    words = {plain(word): meaning for word, meaning in rows(DOCS / "glossary.md")}
    assert [word for word in WORDS if not words.get(word)] == []


def test_the_glossary_is_in_alphabetical_order_and_says_each_word_once() -> None:
    words = [plain(word).casefold() for word, _ in rows(DOCS / "glossary.md")]
    assert words == sorted(set(words))


# settings


def test_the_settings_file_names_every_setting_with_its_description() -> None:
    template = env_file.template()
    unwrapped = re.sub(r"\s+", " ", template.replace("\n# ", " "))
    for name, field in Settings.model_fields.items():
        assert f"{PREFIX}{name.upper()}=" in template
        assert field.description
        assert re.sub(r"\s+", " ", field.description) in unwrapped


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_no_setting_that_does_not_exist(page: Path) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields} | OTHER_NAMES
    assert set(re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]\b", page.read_text(encoding="utf-8"))) - known == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_links_to_nothing_that_is_not_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    local = [link for link in links if not re.match(r"\w+:", link)]
    assert [link for link in local if not (page.parent / link).exists()] == []


# telemetry events


def announced() -> Iterator[tuple[str, set[str]]]:
    """Every `emit("…", fact=…)` of the code: the event's name, and the facts it names."""
    for path in (ROOT / "notify").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "emit":
                event = node.args[0]
                if isinstance(event, ast.Constant):
                    yield str(event.value), {keyword.arg for keyword in node.keywords if keyword.arg}


def event_rows() -> dict[str, list[str]]:
    return {plain(event): rest for event, *rest in rows(DOCS / "reference" / "events.md")}


def test_the_page_of_events_tells_of_every_event_and_of_no_other() -> None:
    assert list(event_rows()) == list(EVENTS)


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_is_documented_with_its_level_and_its_moment(event: str) -> None:
    level, when, _facts = event_rows()[event]
    assert level.upper() == logging.getLevelName(EVENTS[event])
    assert len(when.split()) > 3


def test_the_page_of_events_names_every_fact() -> None:
    missing = {
        (event, fact) for event, facts in announced() for fact in facts if f"`{fact}`" not in event_rows()[event][2]
    }
    assert missing == set()


def test_every_declared_event_is_announced_somewhere() -> None:
    code = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "notify").rglob("*.py") if path.name != "telemetry.py"
    )
    assert [event for event in EVENTS if f'"{event}"' not in code] == []


# the roster that ships

ROSTER = ROOT / "examples" / "roster.csv"
README = ROOT / "examples" / "README.md"


def roster_lines() -> list[tuple[int, list[str]]]:
    """Each row of the shipped roster with its line; one row stands on one line."""
    with ROSTER.open(encoding="utf-8", newline="") as file:
        return list(enumerate(csv.reader(file), start=1))[1:]


def told() -> dict[str, tuple[int, list[int]]]:
    """What the README tells of each sort of row: how many, and on which lines."""
    return {
        plain(sort): (int(plain(count)), [int(line) for line in re.findall(r"\d+", lines)])
        for sort, count, lines in rows(README, "## `roster.csv`")
    }


def test_the_sorts_of_rows_add_up() -> None:
    sorts = told()
    together, _ = sorts.pop("together")
    assert together == sum(count for count, _ in sorts.values()) == len(roster_lines())
    for sort, (count, lines) in sorts.items():
        assert lines == [] or len(lines) == count, sort
    named = Counter(line for _, lines in sorts.values() for line in lines)
    assert [line for line, times in named.items() if times > 1] == [], "every row is counted under one sort"


def test_each_line_is_of_the_sort_that_the_readme_says() -> None:
    cells = dict(roster_lines())
    earlier = {line: [cells[before] for before in cells if before < line] for line in cells}
    sorts = told()

    def lines(sort: str) -> list[int]:
        return sorts[sort][1]

    assert all(cells[line] in earlier[line] for line in lines("repeated exactly"))
    for line in lines("key of an earlier row, changed data"):
        assert cells[line] not in earlier[line]
        assert cells[line][0] in [row[0] for row in earlier[line]]
    assert all(not cells[line][1] for line in lines("no e-mail address"))
    assert all(cells[line][5] == "unsubscribed" for line in lines("status `unsubscribed"))
    assert all(cells[line][5] == "bounced" for line in lines("status `bounced"))
    assert all(len(cells[line]) < 8 for line in lines("too few columns"))
    assert all(not cells[line][0] for line in lines("empty key"))


def spread() -> dict[str, str]:
    """How the README says that the rows are spread."""
    return {plain(name): value for name, value in rows(README, "There are 521 different keys.")}


def counted(name: str) -> dict[str, int]:
    pairs = re.findall(r"`?([\w/+-]+)`? (\d+)", spread()[name])
    return {word: int(count) for word, count in pairs}


def test_the_readme_counts_what_the_roster_holds() -> None:
    whole = [row for _, row in roster_lines() if len(row) == 8]
    assert counted("time zones") == Counter(row[4] for row in whole)
    assert counted("status") == Counter(row[5] for row in whole)
    assert int(spread()["tags exactly `pilot;vip"]) == sum(row[7] == "pilot;vip" for row in whole)
    assert int(spread()["name beyond ASCII"]) == sum(not row[2].isascii() for _, row in roster_lines())
    assert len({row[0] for _, row in roster_lines() if row[0]}) == 521


def test_the_readme_counts_the_locales() -> None:
    assert counted("locales") == Counter(row[3] for _, row in roster_lines())


def test_the_roster_holds_only_domains_reserved_for_examples() -> None:
    broken = told()["broken e-mail address"][1]
    domains = {row[1].rpartition("@")[2] for line, row in roster_lines() if row[1] and line not in broken}
    reserved = re.compile(r"(^|\.)(example|test|invalid)$|(^|\.)example\.(org|com|net)$")
    outside = {domain for domain in domains if not reserved.search(domain)}
    assert outside == set()


# how they are written


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_line_of_prose_is_longer_than_120_characters(page: Path) -> None:
    prose = re.sub(r"^( *)```.*?^\1```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert [line for line in prose.splitlines() if len(line) > 120 and not line.lstrip().startswith("|")] == []


# what is deployed


def test_compose_passes_on_all_settings_of_what_comes_back() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    passed = {name.removeprefix(PREFIX).lower() for name in re.findall(rf"^  ({PREFIX}\w+):", text, re.MULTILINE)}
    assert passed <= {*Settings.model_fields}
    about = ("guard_", "retention_", "hook_", "sns_", "mailboxes", "return_path", "keep_replies", "soft_bounces")
    assert {name for name in Settings.model_fields if name.startswith(about)} <= passed
