"""Reads delivery status notifications (RFC 3464): every recipient's block, whatever is missing or malformed in it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from notify.feedback.bounces import addresses
from notify.feedback.bounces.mime import Part, header_text, read_fields
from notify.feedback.bounces.weighing import find_status

BLOCKS_LIMIT = 1000

TYPES = frozenset({"message/delivery-status", "message/global-delivery-status", "text/delivery-status"})

_BLANK = re.compile(r"\n[ \t]*\n")
_NAMES = ("final-recipient", "original-recipient", "action", "status", "diagnostic-code", "x-actual-recipient")
_IN_TEXT = re.compile(r"^[ \t]{0,4}(?:final-recipient|original-recipient)[ \t]*:[^\n]*[@;]", re.M | re.I)
_ACTION_IN_TEXT = re.compile(
    r"^[ \t]{0,4}(?:action|status)[ \t]*:[ \t]*(?:failed|delayed|deliver|relayed|expanded|[245]\.)", re.M | re.I
)
_START = re.compile(r"^[ \t]{0,4}(?:reporting-mta|final-recipient|original-recipient|action)[ \t]*:", re.M | re.I)
_INDENT = re.compile(r"^[ \t]{1,4}(?=[A-Za-z][\w-]+[ \t]?:)", re.M)
_TYPE = re.compile(r"^\s*((?:[xX]-)?[\w-]+)\s*;\s*")


@dataclass(frozen=True, slots=True)
class Block:
    """What a report says of one recipient, before anyone judges it."""

    address: str | None
    final_address: str | None
    action: str  # failed, delayed, delivered, relayed, expanded; empty when it is missing
    status: str | None
    diagnostic: str
    is_answer: bool  # what a server answered, and not what the author of the report found out (RFC 3464 §2.3.6)


def blocks_of(parts: list[Part]) -> list[Block]:
    """The blocks of the status parts of a mail."""
    return [block for part in parts for block in read(_text(part))][:BLOCKS_LIMIT]


def blocks_in(text: str) -> list[Block]:
    """The blocks of a report that stands in the text of a mail; none when it holds no report."""
    if not (_IN_TEXT.search(text) and _ACTION_IN_TEXT.search(text)):
        return []
    start = _START.search(text)
    return read(_INDENT.sub("", text[start.start() if start else 0 :]))


def read(text: str) -> list[Block]:
    """The recipients' blocks of a delivery status (RFC 3464 §2.1): groups of fields parted by blank lines."""
    found: list[Block] = []
    pending: dict[str, list[str]] = {}
    for group in _BLANK.split(text, BLOCKS_LIMIT):
        fields = read_fields(group)
        if not any(name in fields for name in _NAMES):
            continue
        repeated = any(name in pending for name in _NAMES if name in fields)
        if repeated:
            found.extend(_blocks(pending))
            pending = {}
        for name, values in fields.items():
            pending.setdefault(name, []).extend(values)
    found.extend(_blocks(pending))
    return found


def _blocks(fields: dict[str, list[str]]) -> list[Block]:
    """One block, or as many as a group holds whose author forgot the blank lines."""
    if not fields:
        return []
    count = len(fields.get("final-recipient", ()))
    if count <= 1:
        return [_block({name: values[0] for name, values in fields.items()})]
    return [
        _block({name: values[min(number, len(values) - 1)] for name, values in fields.items()})
        for number in range(count)
    ]


def _block(fields: dict[str, str]) -> Block:
    final = addresses.first(header_text(fields.get("final-recipient", ""))) or addresses.first(
        fields.get("x-actual-recipient", "")
    )
    original = addresses.first(header_text(fields.get("original-recipient", "")))
    status = find_status(fields.get("status", ""))
    diagnostic = header_text(fields.get("diagnostic-code", ""))
    typed = _TYPE.match(diagnostic)
    action = fields.get("action", "").strip().lower().split("(")[0].split(" ")[0].strip(" ;,")
    is_answer = typed is None or typed[1].lower() == "smtp"
    return Block(original or final, final, action, status, diagnostic[typed.end() if typed else 0 :], is_answer)


def _text(part: Part) -> str:
    """A status part's own text. Some mailers write it as a mail whose head is the first group."""
    text = part.text() if part.fields.get("content-transfer-encoding") else part.raw
    return text[: 256 * 1024]
