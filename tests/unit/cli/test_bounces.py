"""`notify bounces read`: the shape that programs rely on, and what a person sees."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.bounces.mails import THEM, block, plain, report
from tests.unit.cli.running import notify_cli

SAID = "550 5.1.1 user unknown"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "1.eml").write_bytes(report(block(said=SAID)))
    (tmp_path / "2.eml").write_bytes(plain("See you on Monday.", sender="grace@receiver.example", subject="Re: March"))
    return tmp_path


def test_a_line_of_json_for_each_mail(folder: Path) -> None:
    ran = notify_cli("bounces", "read", str(folder), "--json")

    assert ran.code == 0
    assert [json.loads(line) for line in ran.out.splitlines()] == [
        {
            "file": str(folder / "1.eml"),
            "kind": "bounce",
            "recipients": [{"address": THEM, "verdict": "hard", "status": "5.1.1", "diagnostic": SAID}],
        },
        {"file": str(folder / "2.eml"), "kind": "other", "recipients": []},
    ]


def test_what_people_are_shown_ends_with_the_sum(folder: Path) -> None:
    ran = notify_cli("bounces", "read", str(folder / "1.eml"), str(folder / "2.eml"))

    assert THEM in ran.out
    assert SAID in ran.out
    assert "2 mails: 1 bounce, 1 other." in ran.out


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)  # the path of a socket has a hundred characters at most
    with socket.socket(socket.AF_UNIX) as nobody:
        nobody.bind("0.eml")  # what cannot be opened even by root

        ran = notify_cli("bounces", "read", "0.eml", "2.eml", "--json")

    assert ran.code == 1
    assert "Not read: 0.eml: " in ran.err
    assert len(ran.out.splitlines()) == 1


def test_a_path_that_is_not_there_is_a_mistake_of_usage(tmp_path: Path) -> None:
    assert notify_cli("bounces", "read", str(tmp_path / "nothing")).code == 3


def test_a_name_in_no_charset_is_shown(tmp_path: Path) -> None:
    os.rename(os.fsencode(tmp_path), name := os.fsencode(tmp_path) + b"\xff")
    Path(os.fsdecode(name), "1.eml").write_bytes(report(block()))

    ran = notify_cli("bounces", "read", os.fsdecode(name), "--json")

    assert json.loads(ran.out)["file"].endswith("\N{REPLACEMENT CHARACTER}/1.eml")


@pytest.fixture(params=[["--json"], []], ids=["json", "words"])
def reading(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    """The command, reading more than a pipe holds."""
    for number in range(3000):
        (tmp_path / f"{number}.eml").write_bytes(report(block(said=SAID)))
    command = [sys.executable, "-m", "notify.cli", "bounces", "read", str(tmp_path), *request.param]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_first_line_comes_before_the_last_mail_is_read(reading: subprocess.Popen[bytes]) -> None:
    assert reading.stdout

    assert b"bounce" in reading.stdout.readline()
    assert reading.poll() is None  # it waits for whoever reads: the rest does not fit into the pipe


def test_who_stops_reading_is_told_nothing(reading: subprocess.Popen[bytes]) -> None:
    assert reading.stdout
    assert reading.stderr
    reading.stdout.readline()
    reading.stdout.close()

    reading.wait(timeout=60)

    assert reading.stderr.read() == b""
