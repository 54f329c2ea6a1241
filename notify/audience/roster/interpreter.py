"""How the interpreter serves an import of two threads: it looks for no garbage, and the database waits for nobody."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SWITCH_SECONDS = 0.0005


@contextmanager
def uncollected() -> Iterator[None]:
    """Rows refer to nothing that refers back: the garbage collector would look at all of them again and again."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextmanager
def prompt() -> Iterator[None]:
    """Let the thread that has the database's answer go on soon.

    It has to ask the one that reads for the interpreter, a dozen times in each slice, and would wait 5 ms for it.
    """
    was = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(was)
