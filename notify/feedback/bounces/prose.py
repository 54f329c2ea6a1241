"""Finds the recipients that a report in prose is about, and what was said of each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from notify.feedback.bounces import addresses
from notify.feedback.bounces.mime import Part, header_text
from notify.feedback.bounces.words import any_of

RECIPIENTS_LIMIT = 200
LINE_LIMIT = 400  # characters
_MARKS = " \t\"'<[(>*-"
SEGMENT_LIMIT = 3000

_ALONE = re.compile(
    r"^[\s>*\-\"'<\[(]{0,40}(?:[\"'“]?[^@<>\n]{0,60}[\"'”]?\s{0,3}<)?(?:mailto:)?\S+@[^\s>]+[>\"')\]]*\s*(?:[:;,.]|\(|$|<|\.\.\.|\bon\s|-|;)",
    re.I,
)
_NAMED = any_of(
    r"""
    rcpt to
    recipient
    (?:^|\s)to\s*[:<]
    \bto\s+[<\"']?$
    \bfor\s+[<\"']?$
    user[:\s]*[<\"'(]*$
    address[:\s]*[<\"'(]*$
    unknown
    account
    mailbox
    deliver
    inbox
    addressee
    >>>
    宛
    destinat
    empf
    получат
    адрес
    """,
)
_NOT_FAILED = any_of(
    r"""
    contact
    postmaster
    help ?desk
    please (?:e?-?mail|write|send|call|forward)
    abuse
    support
    https?://
    mailto:\S+\?
    message-id
    msgid
    in-reply-to
    \bid\b\s*[<:=]
    sender
    mail from
    \bfrom\b\s*[:<]
    from address
    reply-to
    originator
    assistance
    questions
    report to
    on behalf of
    verification
    """,
)
_REFUSED = re.compile(r"^\s*[45]\d\d[ -](?:[45]\.\d\.\d{1,3}[ -]+)?<?$")
_REPLY_LINE = re.compile(r"^\s*(?:<<<|>>>|[45]\d\d[ -])")


@dataclass(frozen=True, slots=True)
class Said:
    """A recipient and the words about it."""

    address: str
    words: str


@dataclass(frozen=True, slots=True)
class _Found:
    address: str
    start: int
    rank: int  # 0: stands by itself; 1: named as a recipient; 2: anywhere


def recipients(mail: Part, text: str, returned: Mapping[str, list[str]]) -> list[Said]:
    """Who failed. What the mail's fields name comes first, then its words, then the returned mail's own recipients."""
    ours = _own(mail, returned)
    intended = _intended(returned)
    named = _named_by_fields(mail)
    everybody = _found(text)
    found = [one for one in everybody if not _ours(one.address, ours, intended)]
    if named:
        return _with_words(named, found, text)
    chosen = _chosen(found, intended)
    if chosen:
        return _with_words(chosen, found, text)
    alone = _unique(one.address for one in everybody if one.rank <= 1)
    if alone:
        return _with_words(alone, everybody, text)
    if intended:
        return [Said(address, text) for address in intended[:RECIPIENTS_LIMIT]]
    return []


def _named_by_fields(mail: Part) -> list[str]:
    names = [
        address
        for field in ("x-failed-recipients", "x-failed-recipient")
        for value in mail.fields.get(field, ())
        for _, address in addresses.find(value)
    ]
    return _unique(names)


def _chosen(found: list[_Found], intended: list[str]) -> list[str]:
    known = {address.lower() for address in intended}
    best = [one.address for one in found if one.rank == 0]
    if best:
        meant = [address for address in best if address.lower() in known]
        return _unique(best if not meant or len(best) > len(meant) else meant)
    for wanted in (
        [one.address for one in found if one.rank <= 1 and one.address.lower() in known],
        [one.address for one in found if one.rank == 1],
        [one.address for one in found if one.address.lower() in known],
        [one.address for one in found][:1],
    ):
        if wanted:
            return _unique(wanted)
    return []


def _found(text: str) -> list[_Found]:
    """Every address of the text that could be a failed recipient's."""
    found: list[_Found] = []
    start = 0
    before = ""
    for line in text.split("\n"):
        if "@" in line:
            for place, address in addresses.find(line[:2000]):
                rank = _rank(line, place, address, before)
                if rank is not None:
                    found.append(_Found(address, start + place, rank))
        before = line
        start += len(line) + 1
    return found[: 5 * RECIPIENTS_LIMIT]


def _rank(line: str, place: int, address: str, before: str) -> int | None:
    """How surely an address is a failed recipient's; None when it is somebody else's."""
    lead = line[:place]
    alone = not lead.strip(_MARKS)
    if _REFUSED.match(lead) and line[place + len(address) :].startswith((">...", "...")):
        return 0
    if lead.lower().endswith("dda:"):  # a domain-defined attribute of X.400, which is how gateways write an address
        return 0
    if _NOT_FAILED.search(lead[-60:]) or line.lstrip().lower().startswith(("from:", "sender:", "message-id")):
        return None
    if not alone and address.lower().startswith("postmaster@"):
        return None
    if alone and _ALONE.match(line[:LINE_LIMIT]) and not _REPLY_LINE.match(line):
        return 2 if _NOT_FAILED.search(before[-60:]) and not before.rstrip().endswith(":") else 0
    return 1 if _NAMED.search(lead[-60:]) else 2


def _with_words(chosen: list[str], found: list[_Found], text: str) -> list[Said]:
    """Each recipient with what follows each of its mentions, up to the next recipient's; alone, it has all of it."""
    if len(chosen) == 1:
        return [Said(chosen[0], text)]
    known = {address.lower() for address in chosen}
    places = [
        (one.address.lower(), text.rfind("\n", 0, one.start) + 1) for one in found if one.address.lower() in known
    ]
    words: dict[str, list[str]] = {}
    for number, (address, begin) in enumerate(places):
        end = places[number + 1][1] if number + 1 < len(places) else len(text)
        if _REFUSED.match(text[begin : text.find("<", begin) + 1]):
            end = text.find("\n", begin) + 1 or end  # the line of a transcript: what follows is about somebody else
        words.setdefault(address, []).append(text[begin : max(end, begin)][:SEGMENT_LIMIT])
    return [
        Said(address, "\n".join(words.get(address.lower(), (text,)))[: 2 * SEGMENT_LIMIT])
        for address in chosen[:RECIPIENTS_LIMIT]
    ]


def _own(mail: Part, returned: Mapping[str, list[str]]) -> set[str]:
    """Who sent the mail that failed, and so got this one."""
    values = [
        value
        for name in (
            "to",
            "cc",
            "from",
            "sender",
            "delivered-to",
            "x-original-to",
            "envelope-to",
            "return-path",
            "reply-to",
        )
        for value in mail.fields.get(name, ())
    ]
    values += [value for name in ("from", "sender", "return-path", "reply-to") for value in returned.get(name, ())]
    return {address.lower() for value in values for _, address in addresses.find(value[:2000])}


def _intended(returned: Mapping[str, list[str]]) -> list[str]:
    """Who the returned mail was for."""
    for names in (("x-envelope-to",), ("to", "cc", "bcc"), ("delivered-to",)):
        values = [header_text(value) for name in names for value in returned.get(name, ())]
        found = _unique(address for value in values for _, address in addresses.find(value[:4000]))
        if found:
            return found
    return []


def _ours(address: str, ours: set[str], intended: list[str]) -> bool:
    return address.lower() in ours and all(not addresses.same(address, one) for one in intended)


def _unique(names: Iterable[str]) -> list[str]:
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(name.lower(), name)
    return list(found.values())
