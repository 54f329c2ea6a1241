"""`notify kinds` and `notify recipients`: what is sent, and to whom."""

from __future__ import annotations

import email
import email.policy
import json
import re
import webbrowser
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from tests.kinds import make_kind
from tests.unit.cli.running import install, notify_cli

ROSTER = """\
key,email,name,locale,timezone,status
user-1,ada@example.org,Ada,nl,Europe/Amsterdam,active
user-2,nowhere,Broken,en,UTC,active
user-3,eve@example.org,Eve,en,UTC,unsubscribed
user-1,other@example.org,Ada again,nl,UTC,active
"""


@pytest.fixture(autouse=True)
def _installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_url: str, templates: Path) -> None:
    install(monkeypatch, tmp_path, redis_url=redis_url, templates_dir=templates)
    make_kind(templates)


@pytest.fixture
def roster() -> str:
    notify_cli("db", "upgrade")
    Path("roster.csv").write_text(ROSTER)
    return "roster.csv"


def test_kinds_are_listed() -> None:
    listed = {row["name"]: row for row in notify_cli("kinds", "list", "--json").json}
    assert {"hello", "welcome", "job-completed", "job-failed", "daily-progress"} <= set(listed)
    assert (listed["hello"]["category"], listed["hello"]["channels"]) == ("test", ["email"])
    assert {"en", "nl", "fr", "cs"} <= set(listed["welcome"]["locales"])
    assert "daily-progress" in notify_cli("kinds", "list").out


def test_a_broken_kind_is_listed_with_its_fault(templates: Path) -> None:
    make_kind(templates, "broken", html="<p>{{ wrod }}</p>")
    ran = notify_cli("kinds", "list")
    assert ran.code == 1
    assert "email.html:1" in ran.out
    assert "hello" in ran.out
    as_json = notify_cli("kinds", "list", "--json")
    assert as_json.code == 1
    [fault] = [row["error"] for row in as_json.json if row["name"] == "broken"]
    assert "did you mean 'word'?" in fault


def test_a_kind_shows_what_it_declares(templates: Path) -> None:
    make_kind(
        templates,
        "job",
        data='word = { type = "string", default = "hello" }\nrows = "integer"\n'
        'days = { type = "list", items = { day = "date" } }',
        sample={"rows": 1, "days": []},
    )
    shown = notify_cli("kinds", "show", "job").out
    for part in (
        "job: job",
        "email.html, kind.toml, sample.json",
        '"hello"',
        "required",
        "days[].day",
        "list of object",
    ):
        assert part in shown
    facts = notify_cli("kinds", "show", "job", "--json").json
    assert facts["data"]["word"] == {"type": "string", "required": False, "default": "hello"}
    assert facts["data"]["days"]["items"]["fields"]["day"]["type"] == "date"


def test_check_passes_for_what_ships() -> None:
    ran = notify_cli("kinds", "check", "welcome")
    assert (ran.code, ran.out) == (0, "welcome: no problems\n")


def test_check_lists_problems_with_file_and_line(templates: Path) -> None:
    make_kind(templates, "broken", html="<html>\n<p>{{ wrod }}</p></html>")
    ran = notify_cli("kinds", "check", "broken")
    assert ran.code == 1
    assert f"{templates}/broken/email.html:2: " in ran.out
    assert "broken: problems: 1" in ran.out
    as_json = notify_cli("kinds", "check", "--json")
    assert as_json.code == 1
    [problem] = as_json.json["problems"]
    assert (problem["kind"], problem["line"]) == ("broken", 2)


def test_an_unknown_kind_is_answered_with_the_nearest_one() -> None:
    for command in (["check"], ["show"], ["preview"]):
        ran = notify_cli("kinds", *command, "helo")
        assert (ran.code, ran.out) == (1, "")
        assert "did you mean 'hello'?" in ran.err


def test_a_kind_shows_how_long_it_is_tried(templates: Path) -> None:
    toml = 'expires = "5m"\nrecipient_rate = "10/m"\n[retry]\nattempts = 4\nfirst_wait = "90s"\nlongest_wait = "2h"'
    make_kind(templates, "code", toml=toml)
    shown = notify_cli("kinds", "show", "code").out
    for part in ("after 5m", "10/m", "attempts: 4, first wait: 90s, longest wait: 2h"):
        assert part in shown
    told = notify_cli("kinds", "show", "code", "--json").json
    assert (told["expires_seconds"], told["recipient_rate"]) == (300, "10/m")
    assert told["retry"] == {"email": {"attempts": 4, "first_wait_seconds": 90, "longest_wait_seconds": 7200}}
    plain = notify_cli("kinds", "show", "hello", "--json").json
    assert (plain["expires_seconds"], plain["recipient_rate"], plain["retry"]) == (None, None, {})


def test_a_preview_shows_subject_and_text() -> None:
    ran = notify_cli("kinds", "preview", "hello", "--data", '{"word": "Grüezi"}', "--to", '{"key": "a", "name": "Bo"}')
    assert ran.code == 0
    assert "Grüezi" in ran.out
    assert "Bo" in ran.out


@pytest.mark.parametrize(("form", "expected"), [("subject", "hello\n"), ("text", "hello Ada Lovelace\n")])
def test_a_preview_prints_one_part(form: str, expected: str) -> None:
    assert notify_cli("kinds", "preview", "hello", "--format", form).out == expected


def test_a_preview_is_written_as_the_files_name_says() -> None:
    for name in ("mail.eml", "mail.html", "mail.txt"):
        ran = notify_cli("kinds", "preview", "hello", "--output", name)
        assert (ran.code, ran.out) == (0, "")
    mail = email.message_from_bytes(Path("mail.eml").read_bytes(), policy=email.policy.default)
    assert mail["subject"] == "hello"
    assert "hello Ada Lovelace" in Path("mail.html").read_text()
    assert Path("mail.txt").read_text() == "hello Ada Lovelace\n"
    refused = notify_cli("kinds", "preview", "hello", "--output", "mail.pdf")
    assert refused.code == 3
    assert "--format" in refused.err
    assert notify_cli("kinds", "preview", "hello", "--output", "mail.pdf", "--format", "subject").code == 0
    assert Path("mail.pdf").read_text() == "hello\n"


def test_a_preview_as_json_has_every_part() -> None:
    parts = notify_cli("kinds", "preview", "hello", "--json").json
    assert parts["subject"] == "hello"
    assert set(parts) == {"subject", "text", "html", "locale"}


def test_a_preview_in_a_locale_that_there_is_not_is_refused() -> None:
    ran = notify_cli("kinds", "preview", "hello", "--locale", "xx-YY")
    assert (ran.code, ran.out) == (1, "")
    assert "unknown locale 'xx-YY'" in ran.err


def test_a_preview_in_a_locale_without_words_says_which_words_it_shows() -> None:
    assert (
        "There are no words in fr-CA: this is en." in notify_cli("kinds", "preview", "hello", "--locale", "fr_CA").out
    )
    for given in (["welcome", "--locale", "nl"], ["hello", "--locale", "en"], ["hello"]):
        assert "no words" not in notify_cli("kinds", "preview", *given).out


def test_a_preview_opens_in_the_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def browser(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", browser)
    assert notify_cli("kinds", "preview", "hello", "--open").code == 0
    [url] = opened
    page = Path(url2pathname(urlsplit(url).path))
    assert "hello Ada Lovelace" in page.read_text()
    page.unlink()


def test_a_roster_goes_in_and_refused_rows_are_named(roster: str) -> None:
    ran = notify_cli("recipients", "import", roster)
    assert ran.code == 1
    assert "line 3" in ran.out
    assert "'nowhere' is not an e-mail address" in ran.out
    assert "key 'user-1' stands already in line 2" in ran.out
    assert _counts(ran.out) == {
        "inserted": "2",
        "updated": "0",
        "unchanged": "0",
        "addresses suppressed": "1",
        "rows passed over": "1",
        "rows refused": "1",
    }


def test_an_import_as_json_lists_every_refused_row() -> None:
    notify_cli("db", "upgrade")
    Path("roster.csv").write_text("key,email\n" + "".join(f"user-{number},nowhere\n" for number in range(30)))
    ran = notify_cli("recipients", "import", "roster.csv", "--json")
    assert ran.code == 1
    assert [row["line"] for row in ran.json["refused"]] == list(range(2, 32))
    shown = notify_cli("recipients", "import", "roster.csv").out
    assert "line 21" in shown
    assert "line 22" not in shown
    assert "… and 10 more; --json lists all" in shown


def test_a_dry_run_imports_nothing(roster: str) -> None:
    *rows, rehearsed = map(
        json.loads, notify_cli("recipients", "import", roster, "--dry-run", "--json").out.splitlines()
    )
    assert (rehearsed["dry_run"], rehearsed["inserted"]) == (True, 2)
    assert [row["inserted"] for row in rows] == [True, True]
    assert "Nothing was changed" in notify_cli("recipients", "import", roster, "--dry-run").out
    assert notify_cli("recipients", "import", roster, "--json").json["inserted"] == 2


def test_a_roster_without_faults_is_done_and_a_second_time_changes_nothing() -> None:
    notify_cli("db", "upgrade")
    Path("roster.csv").write_text("key,email\nuser-1,ada@example.org\n")
    assert notify_cli("recipients", "import", "roster.csv").code == 0
    again = notify_cli("recipients", "import", "roster.csv", "--json")
    assert (again.code, again.json["inserted"], again.json["unchanged"]) == (0, 0, 1)


def test_a_file_that_is_no_roster_is_refused_as_a_whole() -> None:
    notify_cli("db", "upgrade")
    Path("roster.csv").write_text(json.dumps({"key": "user-1"}))
    ran = notify_cli("recipients", "import", "roster.csv")
    assert (ran.code, ran.out) == (2, "")
    assert "Next: " in ran.err
    assert notify_cli("recipients", "import", "missing.csv").code == 3


def _counts(shown: str) -> dict[str, str]:
    lines = shown.partition("\nRecipients")[2].splitlines()[1:]
    return {name.strip(): count for name, _, count in (line.rstrip().rpartition(" ") for line in lines)}


def test_production_refuses_what_is_not_transactional_without_a_postal_address_and_a_way_to_leave(
    monkeypatch: pytest.MonkeyPatch, templates: Path
) -> None:
    footer = "<p>{{ sender.postal_address }} <a href='{{ unsubscribe_url }}'>Leave</a></p>"
    html = f"<html lang='en'><head><title>x</title></head><body>{footer}</body></html>"
    make_kind(templates, "news", toml="unsubscribe = true", html=html)
    assert notify_cli("kinds", "check").code == 0, "while it is developed"
    notify_cli("db", "upgrade")
    for name, value in {"ENV": "production", "SECRET_KEY": "s" * 40, "ALLOW_SQLITE": "1"}.items():
        monkeypatch.setenv(f"NOTIFY_{name}", value)
    ran = notify_cli("kinds", "check")
    assert ran.code == 1
    for remedy in ("set NOTIFY_POSTAL_ADDRESS", "set NOTIFY_PUBLIC_URL"):
        assert re.search(f"news/kind.toml: is not transactional, and .*: {remedy}", ran.out)
    to = json.dumps({"key": "ada", "email": "ada@example.org"})
    refused = notify_cli("send", "news", "--to", to)
    assert (refused.code, "NOTIFY_POSTAL_ADDRESS" in refused.err) == (3, True)
    assert notify_cli("send", "hello", "--to", to).code == 0
    monkeypatch.setenv("NOTIFY_POSTAL_ADDRESS", "Keizersgracht 1, Amsterdam")
    refused = notify_cli("send", "news", "--to", to)
    assert (refused.code, "NOTIFY_PUBLIC_URL: news is not transactional" in refused.err) == (3, True)
    assert "or NOTIFY_UNSUBSCRIBE_URL" in refused.err
    monkeypatch.setenv("NOTIFY_PUBLIC_URL", "https://notify.example.org")
    assert notify_cli("kinds", "check").code == 0
    assert notify_cli("send", "news", "--to", to).code == 0
    make_kind(templates, "offers", toml="", html=html)
    refused = notify_cli("send", "offers", "--to", to)
    assert (refused.code, "write unsubscribe = true in kind.toml" in refused.err) == (1, True)
