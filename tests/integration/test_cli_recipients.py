"""`notify recipients list|show|add|set|history` from the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.unit.cli.running import Ran, install, notify_cli


@pytest.fixture(autouse=True)
def _installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_url: str, templates: Path) -> None:
    install(monkeypatch, tmp_path, redis_url=redis_url, templates_dir=templates)
    notify_cli("db", "upgrade")


def recipients(*arguments: str) -> Ran:
    return notify_cli("recipients", *arguments)


def done(*arguments: str) -> str:
    ran = recipients(*arguments)
    assert ran.code == 0, ran.err
    return ran.out


def lines(*arguments: str) -> list[str]:
    return [json.loads(line)["key"] for line in done("list", "--json", *arguments).splitlines()]


def test_a_recipient_is_added_changed_and_shown_with_the_history_of_it() -> None:
    said = ["--email", "ada@example.org", "--email", "ada@work.example", "--phone", "+31 6 12345678", "--name", "Ada"]
    assert done("add", "ada", *said, "--attribute", "floor:=3", "--tag", "vip") == "Added: ada.\n"
    changed = ["--locale", "nl", "--attribute", "floor:=4", "--attribute", "company=Example, Ltd"]
    assert done("set", "ada", *changed, "--tag", "pilot", "--reason", "asked by phone") == "Changed: ada.\n"
    shown = done("show", "ada")
    for piece in (
        "ada@work.example",
        "+31612345678",
        "primary, not verified",
        "Example, Ltd",
        "vip, pilot",
        "changed 20",
    ):
        assert piece in shown, shown
    facts = recipients("show", "ada", "--json").json
    assert facts["attributes"] == {"name": "Ada", "floor": 4, "company": "Example, Ltd"}
    assert facts["overrides"] == ["attributes.company", "attributes.floor", "locale", "tags"]
    assert [one["primary"] for one in facts["addresses"]] == [True, False, True]
    assert facts["latest_change"]["reason"] == "asked by phone"
    told = done("history", "ada")
    assert re.search(r"attributes\.floor +3 → 4", told)
    assert re.search(r"locale +nothing → nl", told)
    assert re.search(r"why +asked by phone", told)
    [row] = recipients("history", "ada", "--json").json
    assert row["source"] == "cli"
    assert row["actor"].startswith("cli:")
    assert row["changes"]["tags"] == [["vip"], ["vip", "pilot"]]


def test_a_change_is_counted_in_the_answer_to_it() -> None:
    done("add", "ada", "--email", "ada@example.org")
    assert [recipients("set", "ada", "--locale", each, "--json").json["changes"] for each in ("nl", "fr", "fr")] == [
        1,
        2,
        2,
    ]
    assert recipients("show", "ada", "--json").json["changes"] == 2


def test_a_recipient_is_shown_by_an_address_too() -> None:
    done("add", "ada", "--email", "ada@example.org", "--email", "ada@work.example", "--phone", "+31 6 12345678")
    for named in ("ADA@example.org", "ada@work.example", "+31 6-12345678"):
        assert recipients("show", named, "--json").json["key"] == "ada"
    ran = recipients("show", "eve@example.org")
    assert (ran.code, "no recipient 'eve@example.org'" in ran.err) == (1, True)


def test_addresses_are_taken_away_and_made_primary() -> None:
    done("add", "ada", "--email", "ada@example.org", "--email", "ada@work.example")
    done("set", "ada", "--primary", "ADA@work.example", "--remove", "ada@example.org")
    [left] = recipients("show", "ada", "--json").json["addresses"]
    assert (left["address"], left["primary"]) == ("ada@work.example", True)
    ran = recipients("set", "ada", "--email", "ada@new.example", "--remove", "ada@work.example")
    assert (ran.code, "theirs: ada@new.example" in ran.err) == (1, True)


def test_a_status_is_changed_for_a_reason_and_stays_in_the_history() -> None:
    done("add", "ada", "--email", "ada@example.org")
    ran = recipients("set", "ada", "--status", "inactive")
    assert (ran.code, "say why with --reason" in ran.err) == (3, True)
    done("set", "ada", "--status", "inactive", "--reason", "on leave until May")
    assert lines("--status", "inactive") == ["ada"]
    assert "on leave until May" in done("history", "ada")
    assert "status" in recipients("show", "ada", "--json").json["overrides"]


def test_a_list_goes_page_by_page_and_says_how_many_there_are() -> None:
    for number in range(5):
        done("add", f"user-{number}", "--email", f"user-{number}@example.org", "--tag", "pilot")
    done("add", "zoe", "--name", "Zoë")
    first = done("list", "--tag", "pilot", "--limit", "3")
    assert "3 of 5; go on with --after user-2" in first
    second = done("list", "--tag", "pilot", "--limit", "3", "--after", "user-2")
    assert "user-4" in second
    assert "2 of 5" in second
    assert lines("--limit", "2", "--after", "user-3") == ["user-4", "zoe"]
    assert lines("--search", "ZOË") in (["zoe"], [])  # SQLite folds only ASCII
    assert lines("--address", "USER-3@example.org") == ["user-3"]
    assert done("list", "--tag", "nobody") == "No such recipients.\n"
    assert done("list", "--tag", "nobody", "--json") == ""


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["show", "nobody"], 1, "no recipient 'nobody'"),
        (["history", "nobody"], 1, "no recipient 'nobody'"),
        (["set", "nobody", "--locale", "nl"], 1, "no recipient 'nobody'"),
        (["add", "ada"], 1, "is there already"),
        (["add", "eve", "--email", "ADA@example.org"], 1, "is the email address of recipient 'ada' already"),
        (["add", "eve", "--phone", "06 12345678"], 1, "NOTIFY_PHONE_REGION"),
        (["set", "ada"], 3, "say what is to be changed"),
        (["set", "ada", "--attribute", "floor"], 3, "is no attribute; write it like floor:=3"),
        (["set", "ada", "--attribute", "floor:=three"], 3, "floor, column 1"),
        (["set", "ada", "--timezone", "Europe/Amsterdm"], 1, "did you mean 'Europe/Amsterdam'"),
        (["set", "ada", "--unset", "flor"], 1, "there is no 'flor' to unset"),
        (["set", "ada", "--follow-imports", "tags"], 1, "imports are not kept from changing 'tags'"),
        (["list", "--status", "actif"], 3, "actif"),
        (["lst"], 3, "did you mean 'list'"),
    ],
)
def test_what_cannot_be_done_names_itself(arguments: list[str], code: int, said: str) -> None:
    done("add", "ada", "--email", "ada@example.org")
    ran = recipients(*arguments)
    assert (ran.code, said in ran.err) == (code, True), ran.err


def test_what_changes_nothing_says_so() -> None:
    done("add", "ada", "--email", "ada@example.org", "--locale", "nl")
    done("set", "ada", "--locale", "nl")
    assert done("set", "ada", "--locale", "nl") == "Left as it was: ada.\n"
