"""Who changes something from Python can say on whose behalf."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

import notify

CHANGE_NOTHING = {"errors", "testing", "verification"}  # the last asks by mail: what changes, the reader changes
ROOMS = [getattr(notify, name) for name in notify._ROOMS if name not in CHANGE_NOTHING]
READS = {"count", "explain", "get", "history", "list", "log", "preview", "show", "state", "verify_chain"}


def changing(room: ModuleType) -> Iterator[Callable[..., Any]]:
    for name, function in inspect.getmembers(room, inspect.isfunction):
        if function.__module__ == room.__name__ and not name.startswith("_") and name not in READS:
            yield function


@pytest.mark.parametrize(
    "function",
    [notify.cancel, *(function for room in ROOMS for function in changing(room))],
    ids=lambda function: f"{function.__module__}.{function.__name__}",
)
def test_what_changes_something_takes_an_actor_who_is_the_application_unless_said(
    function: Callable[..., Any],
) -> None:
    actor = inspect.signature(function).parameters["actor"]
    assert actor.kind is inspect.Parameter.KEYWORD_ONLY
    assert actor.default == "application"


def test_every_public_module_has_functions_that_change_something() -> None:
    assert all(list(changing(room)) for room in ROOMS)
