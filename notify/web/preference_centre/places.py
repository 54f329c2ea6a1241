"""The languages and time zones that there are to choose from, each named in the words of who chooses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from importlib.resources import files

from babel.dates import get_timezone_location

from notify.kinds import locales
from notify.settings import time_zones

Words = Callable[..., str]
Choice = tuple[str, str]
"""What a form says of it, and what the page calls it."""


def languages(tags: Iterable[str]) -> list[Choice]:
    """Each by its own name, for who reads no other: `nl`, Nederlands."""
    named = [(tag, _own_name(tag)) for tag in set(tags)]
    return sorted(named, key=lambda choice: choice[1].casefold())


def zones(also: str, locale: str, _: Words) -> list[tuple[str, Sequence[Choice]]]:
    """By region, the zones that people live in (`zone.tab` of the time zone database), UTC, and `also`."""
    regions = {
        "Africa": _("Africa"),
        "America": _("America"),
        "Antarctica": _("Antarctica"),
        "Arctic": _("Arctic"),
        "Asia": _("Asia"),
        "Atlantic": _("Atlantic Ocean"),
        "Australia": _("Australia"),
        "Europe": _("Europe"),
        "Indian": _("Indian Ocean"),
        "Pacific": _("Pacific Ocean"),
    }
    known = _cities(locale)
    if not any(also == zone for cities in known.values() for zone, _city in cities):
        region = also.partition("/")[0] if "/" in also else ""
        known = {**known, region: (*known.get(region, ()), (also, _city(also, locale)))}
    named = [(regions.get(region) or region or _("Other"), cities) for region, cities in known.items()]
    return sorted(named, key=lambda group: group[0].casefold())


def zone_name(zone: str, locale: str) -> str:
    """What a sentence calls it: the city, where it has one."""
    return _city(zone, locale)


@lru_cache(maxsize=64)
def _own_name(tag: str) -> str:
    name = locales.parse(tag).display_name or tag
    return name[:1].upper() + name[1:]


@lru_cache(maxsize=16)
def _cities(locale: str) -> dict[str, tuple[Choice, ...]]:
    found: dict[str, list[Choice]] = {"": [("UTC", "UTC")]}
    for zone in _inhabited():
        found.setdefault(zone.partition("/")[0], []).append((zone, _city(zone, locale)))
    return {region: tuple(sorted(named, key=lambda one: one[1].casefold())) for region, named in found.items()}


@cache
def _inhabited() -> list[str]:
    table = files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8")
    named = (line.split("\t")[2] for line in table.splitlines() if line and not line.startswith("#"))
    return [zone for zone in named if zone in time_zones()]


@lru_cache(maxsize=4096)
def _city(zone: str, locale: str) -> str:
    if "/" not in zone:
        return zone
    return get_timezone_location(zone, locale=locales.parse(locale), return_city=True)
