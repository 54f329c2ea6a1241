"""The table of commands, their help, and what a shell sees of errors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import notify.cli
from notify.cli import cli
from notify.cli.groups import Entry
from notify.errors import InvalidProvider, InvalidSettings, NotFound, Unreachable
from tests.unit.cli.running import install, notify_cli


def every_command() -> Iterator[tuple[str, click.Command]]:
    yield "notify", cli
    for name, entry in cli.entries.items():
        yield from _within(name, entry.load())


def _within(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _within(f"{path} {name}", inner)


def test_every_entry_of_the_table_loads_and_its_help_line_is_the_commands_own() -> None:
    for name, entry in cli.entries.items():
        assert entry.load().get_short_help_str(200) == entry.help, name


def test_every_command_has_a_help_with_an_example() -> None:
    without = [
        path for path, command in every_command() if not command.help or "Example:" not in (command.epilog or "")
    ]
    assert without == []


def test_help_names_every_command_and_every_exit_code() -> None:
    ran = notify_cli("--help")
    assert ran.code == 0
    for name, entry in cli.entries.items():
        assert f"  {name} " in ran.out
        assert entry.help.split()[0] in ran.out
    for code in ("0  done", "1  refused", "2  unhealthy", "3  usage"):
        assert code in ran.out


def test_help_imports_neither_database_nor_broker_nor_terminal_library() -> None:
    heavy = "{'celery', 'sqlalchemy', 'pydantic', 'rich', 'jinja2', 'redis'}"
    code = f"import sys; from notify.cli import run; run(['--help']); sys.exit(str({heavy} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stderr.strip() == "set()"


@pytest.mark.parametrize("path", [["sned"], ["db", "upgade"], ["kinds", "chekc"], ["messages", "lst"]])
def test_a_mistyped_command_is_answered_with_the_nearest_one(path: list[str]) -> None:
    ran = notify_cli(*path)
    meant = {"sned": "send", "upgade": "upgrade", "chekc": "check", "lst": "list"}[path[-1]]
    assert ran.code == 3
    assert (
        ran.err
        == f"error: no command '{path[-1]}'; did you mean '{meant}'?\nNext: {' '.join(['notify', *path[:-1]])} --help\n"
    )


def test_a_wrong_option_is_a_matter_of_usage() -> None:
    ran = notify_cli("messages", "list", "--stat", "dead")
    assert (ran.code, ran.out) == (3, "")
    assert "--state" in ran.err
    assert "Next: notify messages list --help" in ran.err


def test_a_command_without_its_subcommand_shows_its_help() -> None:
    ran = notify_cli("kinds")
    assert ran.code == 3
    assert "preview" in ran.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound("no message"), 1),
        (Unreachable("Redis does not answer\nNext: start it"), 2),
        (InvalidSettings("NOTIFY_ENV: wrong"), 3),
        (InvalidProvider("provider URL: wrong"), 3),
        (ZeroDivisionError("division by zero"), 2),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_becomes_one_message_and_an_exit_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, tmp_path)
    _fail_with(error, monkeypatch)
    ran = notify_cli("failing")
    assert (ran.code, ran.out) == (code, "")
    assert "Traceback" not in ran.err
    if code != 130:
        assert ran.err.startswith("error: ")
        assert str(error) in ran.err


@pytest.mark.parametrize("where", ["environment", ".env"])
def test_debug_shows_the_traceback_too(where: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path)
    if where == "environment":
        monkeypatch.setenv("NOTIFY_DEBUG", "1")
    else:
        (tmp_path / ".env").write_text("NOTIFY_DEBUG=1\n")
    _fail_with(NotFound("no message"), monkeypatch)
    ran = notify_cli("failing")
    assert ran.code == 1
    assert "Traceback" in ran.err
    assert ran.err.endswith("error: no message\n")


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m notify.cli config --template | head -1"
    ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ran.stdout.startswith("# Settings of notify")
    assert ran.stderr == ""


def test_the_process_leaves_with_the_exit_code_and_says_why_on_standard_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "notify.cli", "explain", "abc"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("error: 'abc' is no message id")


def test_the_version_is_the_packages() -> None:
    ran = notify_cli("--version")
    assert ran.code == 0
    assert ran.out.startswith("notify, version ")


def _fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def failing() -> None:
        raise error

    monkeypatch.setattr(notify.cli.cli, "entries", {"failing": Entry("nowhere:failing", "")})
    monkeypatch.setattr(Entry, "load", lambda _entry: failing)
