"""Parts the words of whoever sent a report from the mail that it returns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from notify.feedback.bounces.mime import TEXT_LIMIT, Part, read_fields
from notify.feedback.bounces.words import any_of

_CUT = any_of(
    r"""
    this is a copy of (?:the|your) (?:message|body|first)
    below this line is a copy
    .{0,20}below is a copy of the original
    (?:the )?original message follows
    original message (?:header|text|attached)
    original mail (?:header|message)
    unsent message (?:below|follows)
    (?:-{4,60}|={4,60}|\*{3,60}|_{4,60})[ ]?(?:begin )?(?:of )?(?:the )?(?:original|returned|undelivered|unsent)
    (?:-{4,60}|={4,60}|\*{3,60}|_{4,60})[ ]?(?:begin )?(?:of )?(?:the )?headers?[ ]
    (?:-{4,60}|={4,60}|\*{3,60}|_{4,60})[ ]?(?:begin )?(?:of )?(?:the )?message (?:header|text|body)
    the header of the original message
    the headers? of the (?:original )?message (?:is|are)
    message headers? follows?
    header of the (?:original|returned)
    (?:a )?copy of (?:the|your) (?:original )?(?:message|mail) (?:follow|is|below|appears|attached)
    (?:a )?copy of (?:the|your) (?:original )?(?:message|mail) header(?:s| information)? (?:follow|is|below|appears)
    included is a copy
    --- returned
    returned message
    -----? ?message (?:header|log|body|text)
    original message headers
    original-message
    your original (?:message|mail|e-mail) (?:follows|header|is|text|appears)
    the (?:text|first|following|body) .{0,40}original (?:message|mail)
    .{0,10}(?:begin )?forwarded message
    headers? of (?:the|your) (?:original )?(?:message|mail)
    received message header
    (?:undelivered|rejected) message (?:follows|header)
    ursprüngliche nachricht
    hier folgt
    message d'origine
    le message (?:original|d'origine)
    mensaje original
    オリジナル
    元のメール
    以下は.{0,20}メール
    """,
    before=r"^[ \t>*=_.#|-]{0,60}",
    after=r".*$",
    flags=re.M,
)
_HEAD = re.compile(
    r"^(?:>? ?)?(?:(?:Received|Return-Path|DKIM-Signature|X-Envelope-From|MIME-Version|Delivered-To)[ \t]*:.*\n"
    r"|(?:(?:Message-I[Dd]|From|To|Subject|Date|Reply-To|Content-Type|Sender|X-[\w-]+)[ \t]*:.*\n(?:[ \t].*\n)*){3})",
    re.M | re.I,
)
_CUT_ANCHORS = (
    "copy of", "original", "unsent message", "returned", "header", "message text", "message body", "message log",
    "undelivered", "rejected message", "forwarded message", "nachricht", "hier folgt", "d'origine", "オリジナル",
    "元のメール", "以下は",
)  # fmt: skip
_HEAD_ANCHORS = tuple(
    f"\n{mark}{name}:"
    for mark in ("", ">", "> ")
    for name in (
        "received", "return-path", "dkim-signature", "x-envelope-from", "mime-version", "delivered-to",
        "message-id", "from", "to", "subject", "date", "reply-to", "content-type", "sender", "x-mailer",
    )
)  # fmt: skip
_LINES_LIMIT = 40
_FIELD_LINE = re.compile(r"^[ \t>]{0,8}(?=[A-Za-z][\w-]+[ \t]?:)", re.M)
_TEXTS = ("text/plain", "text/html", "text/enriched", "text")
_TEXTS_LIMIT = 4


@dataclass(frozen=True, slots=True)
class Wording:
    """The words of a report, and the header fields of the mail it returns (empty when it returns none)."""

    text: str
    returned: dict[str, list[str]]


def read(mail: Part) -> Wording:
    """The words of a report, cut where the returned mail begins."""
    returned = _returned(mail)
    texts = _texts(mail)
    whole = "\n".join(texts)[:TEXT_LIMIT]
    cut = _cut(whole)
    if not returned and cut < len(whole):
        returned = _fields_after(whole[cut:])
    return Wording(whole[:cut], returned)


def _texts(mail: Part) -> list[str]:
    """What is there to read of the mail itself; of alternatives the plain one."""
    found: list[tuple[str, str]] = []
    for part in mail.walk(into_mails=False):
        if part.children or not (part.type in _TEXTS or part.type.startswith("text/")):
            continue
        if part.type in ("text/rfc822-headers", "text/calendar", "text/css"):
            continue
        text = part.text()
        if text.strip():
            found.append((part.type, text))
        if len(found) >= _TEXTS_LIMIT:
            break
    plains = [text for kind, text in found if kind != "text/html"]
    return plains or [text for _, text in found]


def _returned(mail: Part) -> dict[str, list[str]]:
    """The header of the first mail, or first header, that a mail attaches."""
    for part in mail.walk(into_mails=False):
        if part.type in (
            "message/rfc822",
            "message/global",
            "text/rfc822-headers",
            "message/rfc822-headers",
            "message/global-headers",
        ):
            for child in part.children:
                if child.fields:
                    return child.fields
        elif part.type == "text/rfc822":
            return read_fields(part.raw[:TEXT_LIMIT].partition("\n\n")[0])
    return {}


def _cut(text: str) -> int:
    """Where the returned mail begins. One that stands first is no returned mail but a report written like one."""
    opening = len(text) - len(text.lstrip())
    lowered = text.lower()
    if len(lowered) != len(text):  # some letters have no small form of one character
        lowered = text
    ends = [len(text)]
    for anchors, pattern in ((_CUT_ANCHORS, _CUT), (_HEAD_ANCHORS, _HEAD)):
        places = {start for anchor in anchors for start in _lines_with(lowered, anchor)}
        ends.extend(start for start in places if start > opening and pattern.match(text, start))
    return min(ends)


def _lines_with(text: str, anchor: str) -> Iterator[int]:
    """Where the lines begin that hold a word: a search for fixed words is many times faster than one for a pattern."""
    place = text.find(anchor)
    for _ in range(_LINES_LIMIT):
        if place < 0:
            return
        start = text.rfind("\n", 0, place) + 1 if anchor[0] != "\n" else place + 1
        yield start
        place = text.find(
            anchor, text.find("\n", place + 1) if "\n" in text[place + 1 : place + 2000] else place + 2000
        )


def _fields_after(text: str) -> dict[str, list[str]]:
    """The header fields of a mail that is returned within the text."""
    start = _HEAD.search(text)
    lines = text[start.start() if start else 0 :][:16384]
    head = lines.partition("\n\n")[0] if start else "\n".join(lines.split("\n")[:60])
    fields = read_fields(_FIELD_LINE.sub("", head) if head.startswith((">", " ")) else head)
    return fields if "to" in fields or "message-id" in fields or "subject" in fields else {}
