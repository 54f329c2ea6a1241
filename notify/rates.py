"""Rates and shares as they are written: `14/s`, `10/m`, `1000/h`, `50000/d`; `5%`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}  # in seconds
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*%")
_RATE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)/([smhd])")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` in any span of `seconds`."""

    count: float
    seconds: int

    @property
    def per_second(self) -> float:
        """The same as a number of messages per second."""
        return self.count / self.seconds

    def __str__(self) -> str:
        unit = next(unit for unit, seconds in _UNITS.items() if seconds == self.seconds)
        return f"{self.count:g}/{unit}"


def rate(text: str) -> Rate:
    """Read a rate. ValueError says how to write one."""
    found = _RATE.fullmatch(text.strip())
    if found is None or float(found[1]) == 0:
        raise ValueError(f"write a rate as a number per s, m, h or d, such as 14/s or 10/m, not {text[:40]!r}")
    return Rate(float(found[1]), _UNITS[found[2]])


def share_of(text: str) -> float:
    """Read a share: `0.1%` is 0.001. ValueError says how to write one."""
    found = _SHARE.fullmatch(text.strip())
    if found is None or not 0 < float(found[1]) <= 100:  # noqa: PLR2004 - per cent
        raise ValueError(f"write a share as a number per cent above 0, such as 5% or 0.1%, not {text[:40]!r}")
    return float(found[1]) / 100


def domain_rates(text: str) -> dict[str, Rate]:
    """Read `gmail.com=20/s,*=50/s`; `*` is each domain that has no rate of its own. ValueError names a fault."""
    rates: dict[str, Rate] = {}
    for part in filter(None, re.split(r"[,\s]+", text)):
        domain, separator, written = part.partition("=")
        domain = domain.lower().rstrip(".")
        if not separator or not domain or "@" in domain:
            raise ValueError(f"write domain=rate, such as gmail.com=20/s, not {part[:80]!r}")
        if domain in rates:
            raise ValueError(f"{domain} is given twice")
        try:
            rates[domain] = rate(written)
        except ValueError as error:
            raise ValueError(f"{domain}: {error}") from None
    return rates
