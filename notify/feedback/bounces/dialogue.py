"""Tells which command of SMTP a refusal answered: whether it was the address that was refused, or the mail."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache

NEAR = 400  # characters between a refusal and "(in reply to …)"
FAR = 1500  # characters between a command and its answer in a transcript


class Command(StrEnum):
    """What was answered (RFC 5321 §4.1.1). `DATA` stands for the end of the mail as well."""

    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"


_AFTER = re.compile(
    r"(?:in (?:reply|response) to (?:the )?(?:end of )?|smtp command:? )(mail|rcpt|data)\b(?! server| system)"
    r"|\[(mail|rcpt|data)(?:_from|_to)?\]"
)
_BEFORE = re.compile(
    r"(?:>>> |--> |sent:? <<< |smtp:|\bafter (?:sending )?(?:end of )?(?:pipelined )?|\bour |\bprogress was )"
    r"(mail from|rcpt|data)\b"
    r"|\b(rcpt to generated|does not like recipient)\b"  # qmail
    r"|>>> \.(?= )|failed after i sent the message|delivery error: dd"  # qmail; Yahoo
)
_NO_RECIPIENT = re.compile(r"<<< 5\d\d[ -][^<>]{0,60}(?:need rcpt|rcpt first|no valid recipient)")
_AFTERWARDS = re.compile(
    r"\b5\d\d:? : user unknown"  # the place of the recipient, which is filled in after RCPT, is empty
    r"|user doesn't have a \S{1,80} account"  # Yahoo
)
_QUOTED = re.compile(
    r"\b[45]\d\d[\s:-][^\n]*(?:\n[ \t]+[^\n]*){0,5}"  # a server's answer
    r"|(?<=\S )\[[^\[\]\n]{3,80}\]"  # what a relay was told, behind the address
    r"|invalid address, error_code[^\n]*",  # Zoho, of every refusal
    re.I,
)
_OWN_LINE = re.compile(r"^[ \t]*5\d\d[ -](?=(?:5\.1\.\d )?<?[^\s@<>]{1,64}@[^\s@<>]{1,255}>?\.\.\. )", re.M)
_SPACE = re.compile(r"\s+")


def answered(text: str, refusal: str) -> Command | None:
    """The command whose answer a refusal in a report's text was; None when the text does not tell."""
    text, refusal = _one_line(text), _one_line(refusal).strip()
    start = max(text.find(refusal[:60]), 0)
    end = start + min(len(refusal), NEAR)
    after = _AFTER.search(text, start, end + NEAR)
    if after:
        return Command(after[1] or after[2])
    last = None
    for before in _BEFORE.finditer(text, max(start - FAR, 0), end):
        last = before
    if last is None:
        return None
    command = Command.RCPT if last[2] else Command((last[1] or "data")[:4])
    return Command.RCPT if command is Command.DATA and _is_pipelined(text, last.end()) else command


def _is_pipelined(text: str, start: int) -> bool:
    """Whether DATA was sent before RCPT was answered (RFC 2920): "no recipients" is the answer to DATA then."""
    end = text.find(">>> ", start, start + FAR)
    return bool(_NO_RECIPIENT.search(text, start, end if end >= 0 else start + FAR))


def is_afterwards(refusal: str) -> bool:
    """Whether the words are those of a server that says them only after DATA."""
    return bool(_AFTERWARDS.search(_one_line(refusal)))


def own_words(text: str) -> str:
    """What the author of a report says, without what it quotes of other servers' answers.

    Sendmail writes what it found out itself like an answer: `550 <ada@example.org>... User unknown`.
    """
    return _QUOTED.sub("", _OWN_LINE.sub("", text))


@lru_cache(maxsize=8)  # a report is asked for each of its recipients
def _one_line(text: str) -> str:
    return _SPACE.sub(" ", text).lower()
