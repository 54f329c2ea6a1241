"""`notify recipients import` and `export`, as an operator sees them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.running import install, notify_cli


@pytest.fixture(autouse=True)
def _installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_url: str) -> None:
    install(monkeypatch, tmp_path, redis_url=redis_url)


def test_the_command_writes_to_standard_output_or_a_new_file() -> None:
    notify_cli("db", "upgrade")
    Path("roster.csv").write_text("key,email,floor\nuser-1,ada@example.org,3\n")
    notify_cli("recipients", "import", "roster.csv")
    shown = notify_cli("recipients", "export")
    assert shown.code == 0
    assert shown.out.splitlines()[1] == "user-1,ada@example.org,,,,,active,3"
    [line] = notify_cli("recipients", "export", "--json").out.splitlines()
    assert json.loads(line)["attributes"] == {"floor": "3"}

    ran = notify_cli("recipients", "export", "--file", "out.csv")
    assert (ran.code, ran.out) == (0, "")
    assert "1 recipients written to out.csv" in ran.err
    assert Path("out.csv").read_text().splitlines() == shown.out.splitlines()
    assert Path("out.csv").stat().st_mode & 0o077 == 0
    again = notify_cli("recipients", "export", "--file", "out.csv")
    assert again.code == 2
    assert "out.csv is there already\nNext: move it away, or write over it with --force" in again.err
    assert notify_cli("recipients", "export", "--file", "out.csv", "--force").code == 0
    imported = notify_cli("recipients", "import", "out.csv")
    assert "Nothing was changed: all of it was so already." in imported.out


def test_the_import_is_told_what_columns_mean_and_keeps_what_it_rejects() -> None:
    notify_cli("db", "upgrade")
    Path("people.csv").write_bytes("E-Mail;Id;Naam\nada@example.org;u1;Zoë\nnowhere;u2;\n".encode("cp1252"))
    options = ("--map", "Id=key", "--map", "Naam=name", "--tag", "pilot", "--rejects", "out.csv")
    rehearsed = notify_cli("recipients", "import", "people.csv", *options, "--dry-run")
    assert "a guess: is 'Zoë' right? Else: --encoding" in rehearsed.out
    assert "+ u1" in rehearsed.out
    ran = notify_cli("recipients", "import", "people.csv", *options, "--force", "--json")
    assert (ran.code, ran.json["inserted"], ran.json["refused_rows"]) == (1, 1, 1)
    assert Path("out.csv").read_text().splitlines()[0] == "line,reason,E-Mail,Id,Naam"
    wrong = notify_cli("recipients", "import", "people.csv", "--map", "Id")
    assert wrong.code == 3
    assert "'Id' is not COLUMN=FIELD" in wrong.err
