"""`notify preferences` and `notify consent`, as a shell sees them."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from notify.store import open_store, tables
from tests.kinds import make_kind
from tests.unit.cli.running import install, notify_cli


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str) -> None:
    make_kind(tmp_path / "templates", "tests", toml="consent = true")
    make_kind(tmp_path / "templates", "hello")
    (tmp_path / "templates" / "categories.toml").write_text('[account]\nrequired = true\ntitle = "Account"\n')
    install(
        monkeypatch,
        tmp_path,
        database_url=database_url,
        redis_url=redis_url,
        templates_dir=tmp_path / "templates",
        public_url="https://notify.example.org",
    )
    assert notify_cli("send", "hello", "--to", '{"key": "ada", "email": "ada@example.org"}').code == 0


def test_a_choice_is_made_shown_and_forgotten() -> None:
    assert notify_cli("preferences", "set", "ada", "jobs", "email", "off").out == "Changed.\n"
    assert "nothing was changed" in notify_cli("preferences", "set", "ada", "jobs", "email", "off").out
    (row,) = [
        row
        for row in notify_cli("preferences", "show", "ada", "--json").json["categories"]
        if row["category"] == "jobs"
    ]
    assert row["channels"]["email"] == {"chosen": False, "default": True, "effective": False}
    assert notify_cli("preferences", "set", "ada", "jobs", "email", "default", "--json").json == {"changed": True}


def test_what_is_required_is_refused_with_exit_code_1() -> None:
    ran = notify_cli("preferences", "set", "ada", "account", "email", "off")
    assert (ran.code, ran.err) == (1, "error: account cannot be turned off, for it is required; leave it out\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("set", "ada", "jobs", "email", "perhaps"),
        ("disturb", "ada", "tomorrow"),
        ("pause", "ada", "--until", "2099-01-01"),
        ("defaults", "--set", "jobs", "email", "perhaps"),
    ],
)
def test_a_mistake_in_the_command_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    assert notify_cli("preferences", *arguments).code == 3


def test_pause_quiet_hours_and_do_not_disturb_are_shown_and_reset() -> None:
    for arguments in (
        ("pause", "ada"),
        ("quiet", "ada", "22:00-07:00", "--reason", "by phone"),
        ("disturb", "ada", "2099-01-01T09:00+01:00"),
    ):
        assert notify_cli("preferences", *arguments).code == 0
    shown = notify_cli("preferences", "show", "ada").out
    assert "22:00-07:00" in shown
    assert "the recipient resumes" in shown
    assert "2099-01-01 08:00:00 UTC" in shown
    for arguments in (("quiet", "ada", "none"), ("disturb", "ada", "now"), ("resume", "ada")):
        assert notify_cli("preferences", *arguments).out == "Changed.\n"
    assert "22:00" not in notify_cli("preferences", "show", "ada").out
    assert "nothing was changed" in notify_cli("preferences", "reset", "ada").out


def test_the_defaults_of_a_tenant_are_set_and_shown() -> None:
    assert "Everything is on." in notify_cli("preferences", "defaults").out
    ran = notify_cli("preferences", "defaults", "--set", "jobs", "email", "off", "--quiet", "22:00-07:00", "--json")
    assert ran.json == {"choices": {"jobs": {"email": False}}, "quiet": "22:00-07:00"}
    shown = notify_cli("preferences", "defaults").out
    assert "Quiet hours: 22:00-07:00" in shown
    cleared = notify_cli("preferences", "defaults", "--set", "jobs", "email", "default", "--quiet", "none", "--json")
    assert cleared.json == {}


def test_consent_is_granted_shown_withdrawn_and_proved(database_url: str) -> None:
    granted = notify_cli(
        *("consent", "grant", "ada", "test", "--wording", "Send me tests.", "--source", "paper form"),
        *("--proof", "page=12", "--json"),
    ).json
    assert (granted["action"], granted["proof"]["page"]) == ("granted", "12")
    assert "paper form" in notify_cli("consent", "show", "ada").out
    assert notify_cli("consent", "withdraw", "ada", "test").code == 0
    assert "There was nothing to withdraw." in notify_cli("consent", "withdraw", "ada", "test").out
    listed = notify_cli("consent", "log", "ada", "--json").json
    assert [(one["number"], one["action"]) for one in listed] == [(1, "granted"), (2, "withdrawn")]
    assert "More: --after 1" in notify_cli("consent", "log", "--limit", "1").out
    assert "2 entries, nothing was changed" in notify_cli("consent", "verify").out
    store = open_store(database_url)
    with store.begin() as connection:
        connection.execute(sa.update(tables.consents).values(wording="Sell my data."))
    store.close()
    ran = notify_cli("consent", "verify")
    assert ran.code == 1
    assert "entry 1: was changed after it was written" in ran.out


def test_a_confirmation_is_asked_for_by_mail() -> None:
    asked = notify_cli("consent", "ask", "ada", "test", "--wording", "Send me tests.", "--json").json
    assert asked["action"] == "asked"
    assert notify_cli("recipients", "verify", "ada", "--json").json["verified"] is False
    kinds = {one["kind"] for one in notify_cli("messages", "list", "--json").json}
    assert kinds >= {"confirm-subscription", "verify-address"}


def test_a_proof_without_a_value_and_a_wrong_category_are_named() -> None:
    wrong = notify_cli("consent", "grant", "ada", "test", "--wording", "x", "--proof", "ip")
    assert (wrong.code, "--proof NAME=VALUE" in wrong.err) == (3, True)
    unknown = notify_cli("consent", "grant", "ada", "tset", "--wording", "x")
    assert (unknown.code, "did you mean 'test'" in unknown.err) == (1, True)
