"""Where the values come from: the environment, then `.env`, then the default; a name that is no setting is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import ValidationError

from notify.errors import InvalidSettings, did_you_mean
from notify.settings.fields import PREFIX
from notify.settings.settings import Settings

OTHER_NAMES = frozenset({"NOTIFY_TEST_DSN", "NOTIFY_TEST_RABBITMQ", "NOTIFY_BENCH_DSN"})
"""Read by the test suite and the benchmarks."""


def load(env_file: Path | None = Path(".env"), **overrides: Any) -> Settings:
    """Read the settings in force, `overrides` before all; `InvalidSettings` names what cannot be used."""
    for name in overrides:
        if name not in Settings.model_fields:
            raise InvalidSettings(f"{name} is not a setting{did_you_mean(name, Settings.model_fields)}")
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    unknown = sorted(name for name in _given(env_file) if name not in known | OTHER_NAMES)
    if unknown:
        raise InvalidSettings(
            "; ".join(f"{name} is not a setting{did_you_mean(name, known)}" for name in unknown)
            + "\nNext: correct or unset the name; `notify config` lists every setting."
        )
    try:
        return Settings(_env_file=env_file, **overrides)
    except ValidationError as error:
        raise InvalidSettings("\n".join(_complaint(item) for item in error.errors())) from None


def sources(env_file: Path | None = Path(".env")) -> dict[str, str]:
    """For each field, where its value came from: `environment`, the file's name, or `default`."""
    in_file = _in_file(env_file)
    environment = {name.upper() for name in os.environ}

    def source(name: str) -> str:
        variable = PREFIX + name.upper()
        if variable in environment:
            return "environment"
        return str(env_file) if variable in in_file else "default"

    return {name: source(name) for name in Settings.model_fields}


def _in_file(env_file: Path | None) -> set[str]:
    if env_file is None or not env_file.is_file():
        return set()
    return {name.upper() for name in dotenv_values(env_file) if name.upper().startswith(PREFIX)}


def _given(env_file: Path | None) -> set[str]:
    return {name.upper() for name in os.environ if name.upper().startswith(PREFIX)} | _in_file(env_file)


def _complaint(item: Any) -> str:
    message = item["msg"].removeprefix("Value error, ")
    return f"{PREFIX}{str(item['loc'][0]).upper()}: {message}" if item["loc"] else message
