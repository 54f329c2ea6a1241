"""How long a kind is worth sending and how fast: [retry], `expires` and `recipient_rate`, read to the last key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from notify.errors import did_you_mean
from notify.kinds.toml import Toml
from notify.model import Channel, Retry
from notify.rates import Rate, rate
from notify.settings import duration, written

SECTION = "retry"
MOST_ATTEMPTS = 1000
LONGEST = {"first_wait": timedelta(days=1), "longest_wait": timedelta(days=7)}

_KEYS = ("attempts", *LONGEST)


def retries(toml: Toml, channels: Sequence[Channel]) -> Mapping[Channel, Retry]:
    """What [retry] says for each channel: its own table over the one for all. Empty when there is none."""
    table = toml.optional(SECTION, dict, {})
    for key, value in table.items():
        if key not in _KEYS and key not in channels:
            known = (*_KEYS, *channels)
            near = did_you_mean(key, known) or f"; it holds {', '.join(_KEYS)} and tables such as [retry.{channels[0]}]"
            raise toml.fault(key, SECTION, f"{key} is not a key of [{SECTION}]{near}")
        if key in channels and not isinstance(value, dict):
            raise toml.fault(key, SECTION, f"{key} must be a table: write [retry.{key}]")
    shared = _said(toml, {key: value for key, value in table.items() if key in _KEYS}, SECTION, Retry())
    found = {channel: _said(toml, table.get(channel, {}), f"{SECTION}.{channel}", shared) for channel in channels}
    return {channel: said for channel, said in found.items() if said != Retry()}


def expires(toml: Toml) -> timedelta | None:
    """How long after the time that they should go out this kind's messages are worth sending."""
    return _duration(toml, "expires", toml.table["expires"], "") if "expires" in toml.table else None


def recipient_rate(toml: Toml) -> Rate | None:
    """The most messages of this kind to one recipient."""
    if "recipient_rate" not in toml.table:
        return None
    given = toml.table["recipient_rate"]
    try:
        return rate(given if isinstance(given, str) else repr(given))
    except ValueError as error:
        raise toml.fault("recipient_rate", "", f"recipient_rate: {error}") from None


def _said(toml: Toml, table: Mapping[str, Any], section: str, otherwise: Retry) -> Retry:
    toml.refuse_unknown(table, _KEYS, section)
    said = otherwise
    if "attempts" in table:
        said = replace(said, attempts=_attempts(toml, table["attempts"], section))
    if "first_wait" in table:
        said = replace(said, base=_wait(toml, "first_wait", table["first_wait"], section))
    if "longest_wait" in table:
        said = replace(said, cap=_wait(toml, "longest_wait", table["longest_wait"], section))
    if said.base is not None and said.cap is not None and said.cap < said.base:
        key = "longest_wait" if "longest_wait" in table else "first_wait"
        text = f"longest_wait ({written(said.cap)}) is shorter than first_wait ({written(said.base)})"
        raise toml.fault(key, section, text)
    return said


def _attempts(toml: Toml, given: Any, section: str) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= MOST_ATTEMPTS:
        text = f"attempts must be a whole number from 1 to {MOST_ATTEMPTS}, not {given!r:.40}"
        raise toml.fault("attempts", section, text)
    return given


def _wait(toml: Toml, key: str, given: Any, section: str) -> timedelta:
    wait = _duration(toml, key, given, section)
    if wait > LONGEST[key]:
        raise toml.fault(key, section, f"{key} is at most {written(LONGEST[key])}, not {given!r:.40}")
    return wait


def _duration(toml: Toml, key: str, given: Any, section: str) -> timedelta:
    try:
        return duration(given if isinstance(given, str) else repr(given))
    except ValueError as error:
        raise toml.fault(key, section, f"{key}: {error}") from None
