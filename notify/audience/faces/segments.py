"""Segments, on this process's App: `notify.segments.add("pilots", 'tags has "pilot"')`."""

from __future__ import annotations

import builtins

from notify import app as apps
from notify.audience.segments import saved
from notify.audience.segments.saved import SHOWN, Answer, Preview
from notify.model import APPLICATION
from notify.store.segments import Saved

__all__ = ["Answer", "Preview", "Saved", "add", "count", "explain", "get", "list", "preview", "remove"]


def add(
    name: str, expression: str, *, replace: bool = False, actor: str = APPLICATION, tenant: str | None = None
) -> Saved:
    """Save a segment under a name; with `replace`, in place of another. Raises `InvalidSegment`."""
    return saved.add(apps.current(), name, expression, actor=actor, replace=replace, tenant=tenant)


def remove(name: str, *, actor: str = APPLICATION, tenant: str | None = None) -> None:
    """Forget a segment; what is being sent to it goes on. Raises `NotFound`."""
    saved.remove(apps.current(), name, actor=actor, tenant=tenant)


def get(name: str, *, tenant: str | None = None) -> Saved:
    """The segment of this name. Raises `NotFound`."""
    return saved.get(apps.current(), name, tenant=tenant)


def list(*, tenant: str | None = None) -> builtins.list[Saved]:
    """Every saved segment, in the order of names."""
    return saved.listing(apps.current(), tenant=tenant)


def count(segment: str, *, tenant: str | None = None) -> int:
    """How many recipients are in a segment, by its name or an expression. Raises `InvalidSegment` or `NotFound`."""
    return saved.count(apps.current(), segment, tenant=tenant)


def preview(segment: str, *, after: str = "", limit: int = SHOWN, tenant: str | None = None) -> Preview:
    """How many are in it, and the first of them after a key, in the order of keys. Errors as for `count()`."""
    return saved.preview(apps.current(), segment, after=after, limit=limit, tenant=tenant)


def explain(segment: str, key: str, *, tenant: str | None = None) -> Answer:
    """Which parts of it hold for one recipient; `print()` it. Errors as for `count()`."""
    return saved.explain(apps.current(), segment, key, tenant=tenant)
