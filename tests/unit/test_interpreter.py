"""What is changed of the interpreter is as it was when the last who needed it has ended."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from notify import interpreter


def as_it_is() -> tuple[float, bool]:
    return sys.getswitchinterval(), gc.isenabled()


@pytest.mark.parametrize("changed", [interpreter.prompt, interpreter.uncollected])
def test_whoever_ends_first_leaves_it_to_the_other(changed: Callable[[], AbstractContextManager[None]]) -> None:
    before = as_it_is()
    first, second = changed(), changed()
    with first:
        second.__enter__()
        during = as_it_is()
    assert as_it_is() == during != before
    second.__exit__(None, None, None)
    assert as_it_is() == before


def test_what_fails_leaves_nothing_changed() -> None:
    before = as_it_is()
    with pytest.raises(ZeroDivisionError), interpreter.prompt(), interpreter.uncollected():
        _ = 1 / 0
    assert as_it_is() == before
