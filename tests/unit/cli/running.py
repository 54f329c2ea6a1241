"""Runs the command line inside the test's process, as a shell would."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from notify.cli import run


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def notify_cli(*arguments: str, given: str | bytes | None = None) -> Ran:
    """Run `notify` with these arguments; `given` is its standard input."""
    with _own_logging(), CliRunner().isolation(input=given) as (out, err, _):
        code = run(arguments)
        return Ran(code, out.getvalue().decode(), err.getvalue().decode())


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, **settings: object) -> None:
    """Settings of an installation of the test's own in `folder`, and go there."""
    monkeypatch.chdir(folder)
    for name, value in {"data_dir": folder / "data", **settings}.items():
        monkeypatch.setenv(f"NOTIFY_{name.upper()}", str(value))


@contextmanager
def _own_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
