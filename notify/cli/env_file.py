"""`.env.template` and `.env`: every setting as a comment with its default, never a secret, and never a line changed."""

from __future__ import annotations

import json
import os
import re
import textwrap
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from notify.cli.masking import shown_secret
from notify.settings import PREFIX, Settings

HEADER = """\
# Settings of notify. Copy this file to .env, or let `notify config --sync-env` do it.
# The environment beats this file; a line that begins with # leaves the default in force.
"""
WIDTH = 100
_NAME = re.compile(rf"^\s*#?\s*(?:export\s+)?({PREFIX}[A-Z0-9_]+)\s*=", re.MULTILINE | re.IGNORECASE)


def template() -> str:
    """The whole of `.env.template`."""
    return HEADER + "".join(_entry(name, field) for name, field in Settings.model_fields.items())


def synchronise(path: Path) -> list[str]:
    """Make sure that `path` names every setting; returns the names that were added.

    A new file is the template, readable by its owner alone: secrets will be written there. Names that a file lacks are
    appended as comments; the lines it has stay as they are.
    """
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(template(), encoding="utf-8")
        return [variable(name) for name in Settings.model_fields]
    text = path.read_text(encoding="utf-8")
    present = {name.upper() for name in _NAME.findall(text)}
    missing = [name for name in Settings.model_fields if variable(name) not in present]
    if missing:
        _append(path, "" if not text or text.endswith("\n") else "\n", missing)
    return [variable(name) for name in missing]


def variable(name: str) -> str:
    """The environment's name for a setting."""
    return PREFIX + name.upper()


def written(value: Any) -> str:
    """A value as it is written in the environment; secrets only as far as they are none."""
    if isinstance(value, SecretStr):
        return shown_secret(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple | frozenset):
        return ",".join(written(part) for part in (sorted(value) if isinstance(value, frozenset) else value))
    return "" if value is None else os.fspath(value) if isinstance(value, Path) else str(value)


def _append(path: Path, separator: str, names: Iterable[str]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(separator + "".join(_entry(name, Settings.model_fields[name]) for name in names))


def _entry(name: str, field: FieldInfo) -> str:
    explained = textwrap.wrap(field.description or "", WIDTH - 2)
    default = "" if isinstance(field.default, SecretStr) else _quoted(written(field.default))
    return "\n" + "".join(f"# {line}\n" for line in explained) + f"# {variable(name)}={default}\n"


def _quoted(text: str) -> str:
    return json.dumps(text) if re.search(r"[\s<>#'\"]", text) else text
