"""Turns any octets into a tree of JSON that is like a good one: the same octets always make the same tree."""

from __future__ import annotations

from typing import Any

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1e308, float("nan"), float("inf"), 10**30,
    "", " ", "\0", "\ud800", "\udfff\ud800", "é" * 9, "x" * 5000, "5.1.1", "<>", "a@b@c", "<a@b>,",
    "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+14:00", "99999999999",
    [], {}, [[]], [None], [0], [{}], {"": None}, [[[[[[[[]]]]]]]],
)  # fmt: skip


class Draw:
    """Numbers and texts out of octets; zeros when they are used up, which change nothing."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._place = 0

    def number(self, limit: int) -> int:
        """A number below the limit, which is at most 256."""
        taken = self._octets[self._place : self._place + 1]
        self._place += 1
        return taken[0] % limit if taken else 0

    def octets(self) -> bytes:
        """Octets, 255 at most."""
        size = self.number(256)
        taken = self._octets[self._place : self._place + size]
        self._place += size
        return taken

    def text(self) -> str:
        """A text of at most 255 characters, half surrogates among them."""
        return self.octets().decode("utf-8", "surrogateescape")


def varied(value: Any, draw: Draw) -> Any:
    """The tree with some of its values replaced, wrapped, renamed or gone."""
    chosen = draw.number(16)
    if chosen >= 12:
        return _other(value, chosen, draw)
    if isinstance(value, dict):
        return {name: varied(inner, draw) for name, inner in value.items() if draw.number(32) != 31}
    if isinstance(value, list):
        return [varied(inner, draw) for inner in value for _ in range(2 if draw.number(32) == 31 else 1)]
    return value


def _other(value: Any, chosen: int, draw: Draw) -> Any:
    if chosen == 12:
        return {draw.text(): value}
    if chosen == 13:
        return [value]
    return draw.text() if chosen == 14 else ODD[draw.number(len(ODD))]
