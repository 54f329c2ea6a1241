"""Whether a machine opened or clicked: proxies that fetch for everybody, and scanners that follow whatever they find.

What a request says of itself is told at once. What only its neighbours show is told when they are known: nobody reads a
mail within seconds of its sending, nor follows two of its links within two. A machine is led on like a person; it only
does not count as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Final
from uuid import UUID

from notify.channels.agents import is_machine

QUICK = timedelta(seconds=5)
"""Whoever opens or clicks sooner after the provider took the mail is a scanner on its way."""
TOGETHER = timedelta(seconds=2)
"""Two links of a mail that are followed within so long are followed by a scanner."""
HEAD: Final = "head"
"""Asks where a link leads and wants nothing of it: scanners do that first, and then come again."""

NETWORKS = (
    ip_network("17.0.0.0/8"),  # Apple's: IANA IPv4 address space registry; mail privacy protection fetches every image
)
PREFETCH: Mapping[str, tuple[str, ...]] = {
    "sec-purpose": ("prefetch", "preview"),  # Fetch standard, Sec-Purpose
    "purpose": ("prefetch", "preview"),  # the same before there was a standard
    "x-purpose": ("prefetch", "preview"),
    "x-moz": ("prefetch",),  # Firefox: link prefetching
}
"""Headers by which a browser says that nobody asked for the page yet."""


@dataclass(frozen=True, slots=True)
class Click:
    """One click of a message; `head` says that it only asked."""

    id: UUID
    link: str | None
    at: datetime
    head: bool = False


def mark(method: str, headers: Mapping[str, str], address: str | None) -> str | None:
    """Why a request is a machine's, by what it says of itself: `head`, `prefetch`, `agent` or `network`; else None.

    `headers` are named in lower case; `address` is the client's.
    """
    if method == "HEAD":
        return HEAD
    if any(word in headers.get(name, "").lower() for name, words in PREFETCH.items() for word in words):
        return "prefetch"
    agent = headers.get("user-agent", "").strip()
    if not agent or is_machine(agent):
        return "agent"
    return "network" if address is not None and _is_known(address) else None


def _is_known(address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:  # a proxy may give a name, or nothing
        return False
    mapped = getattr(found, "ipv4_mapped", None) or found
    return any(mapped in network for network in NETWORKS)


def is_quick(at: datetime, accepted_at: datetime | None) -> bool:
    """Whether it came too soon after the provider took the mail, or before we had noted that it did."""
    return accepted_at is not None and at < accepted_at + QUICK


def in_company(clicks: Iterable[Click]) -> set[UUID]:
    """Those of one message's clicks that came with another link's, or with one that only asked: the first ones, too."""
    found: set[UUID] = set()
    ordered = sorted(clicks, key=lambda one: one.at)
    for number, one in enumerate(ordered):
        for other in _soon_after(one, ordered[number + 1 :]):
            if one.link != other.link or one.head or other.head:
                found |= {one.id, other.id}
    return found


def _soon_after(one: Click, later: Sequence[Click]) -> Iterable[Click]:
    for other in later:
        if other.at - one.at > TOGETHER:
            return
        yield other
