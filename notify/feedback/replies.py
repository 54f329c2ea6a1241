"""The words of a reply, without what it quotes where that is plain to see."""

from __future__ import annotations

import re

from notify.feedback.bounces.mime import Part
from notify.model.text import storable

LONGEST = 32 * 1024  # characters
_WROTE = "wrote|schrieb|écrit|escribió|scritto|schreef|escreveu|skrev|napisał"
_QUOTED = re.compile(
    r"^(?:"
    r"[>|].*"
    rf"|(?:On|Am|Le|El|Il|Op|Em|Den|Dnia) .{{5,300}}(?:{_WROTE}).{{0,100}}:"
    r"|-{2,} ?(?:Original Message|Ursprüngliche Nachricht|Message d'origine|Mensaje original|Oorspronkelijk bericht)"
    r" ?-{2,}"
    r"|(?:_{20,} )?(?:From|Von|De|Van): .+ (?:Sent|Date|To|Subject|Gesendet|Datum|An|Envoyé|Enviado|Verzonden): .+"
    r"|_{20,} (?:From|Von|De|Van): .+"
    r")[ \t]*$",
    re.IGNORECASE,
)
_MARK = re.compile(r"^[>|]")
_SIGNATURE = re.compile(r"^-- ?$")


def words(mail: Part) -> str:
    """What the writer wrote: of the text part, else of the HTML; empty when it has neither."""
    parts = [part for part in mail.walk(into_mails=False) if not part.children and not _attached(part)]
    for kind in ("text/plain", "text/html"):
        for part in parts:
            if part.type == kind and (text := part.text().strip()):
                return storable(_own(text))[:LONGEST]
    return ""


def _attached(part: Part) -> bool:
    return part.get("content-disposition").lower().startswith("attachment")


def _own(text: str) -> str:
    """The text up to a signature, or to where a quoted mail goes on to its end. Answers between quotations stay."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if _SIGNATURE.match(line):
            return _joined(lines[:number])
        both = " ".join(one.strip() for one in lines[number : number + 2])  # programs fold what they put before it
        begins = _QUOTED.match(line) or (line.strip() and _QUOTED.match(both))
        if begins and any(one.strip() for one in lines[:number]) and _rest_is_quoted(lines[number:]):
            return _joined(lines[:number])
    return _joined(lines)


def _rest_is_quoted(lines: list[str]) -> bool:
    """Whether nothing of the writer's own follows; behind a line that announces a mail nobody writes by habit."""
    if not _MARK.match(lines[0]):
        marked = [bool(_MARK.match(line)) for line in lines[1:] if line.strip()]
        return all(marked[1:]) or not any(marked)
    return all(_MARK.match(line) or not line.strip() for line in lines)


def _joined(lines: list[str]) -> str:
    return "\n".join(line.rstrip() for line in lines).strip()
