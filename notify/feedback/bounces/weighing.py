"""Weighs a status code against what was said with it: text beats a code that says little, and the other way round."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from notify.feedback.bounces.dialogue import Command, answered, is_afterwards, own_words
from notify.feedback.bounces.reasons import CODES, POLICY, REASONS, Code, Reason
from notify.feedback.bounces.report import Verdict

SAID_LIMIT = 3000  # characters of what was said that are looked at
REPORT_LIMIT = 8192  # characters of the report around it

_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")
_REPLY = re.compile(r"(?<![\d.:/-])([45])[0-5]\d(?=[ -])")
_SPACE = re.compile(r"\s+")
_WRAPPED = re.compile(
    r"(?:5\.1\.0 - unknown address error|5\.1\.2 - bad destination host|[45]\.3\.0 - other mail system problem"
    r"|[45]\.4\.\d - \w[\w ]{3,40}?) +(?=\d{3}[- ])",
    re.I,
)
_CONTINUED = re.compile(r"(?<![ \t\n])[ \t\n]+[45]\d\d[- ](?:[45]\.\d{1,3}\.\d{1,3}[ -]+)?")


def weigh(status: str | None, said: str, report: str = "", own: str = "") -> tuple[Verdict, str | None]:
    """The verdict, and the status code that tells most.

    `status` is the report's own (RFC 3464 §2.3.4), `said` whatever the servers or the report's author said, `report`
    the text it stands in, which may tell what it answered, and `own` what of that is about this recipient alone.
    """
    best = _best_status(status, said[:SAID_LIMIT])
    code = _code(best)
    reason = _reason(_flat(said))
    temporary = _is_temporary(best, said)
    verdict = _verdict(code, reason, temporary)
    if verdict is Verdict.HARD and reason and reason.doubtful:
        verdict = _believed(best, said[:SAID_LIMIT], report[:REPORT_LIMIT], own)
    return verdict, best


def _believed(status: str | None, said: str, report: str, own: str) -> Verdict:
    """What "user unknown" means. Filters say it too, once they have seen the mail: it takes more to be `hard`.

    Proof is a code of the address (RFC 3463 §3.2), an answer to RCPT (RFC 5321 §3.3), or the word of the system that
    holds the addresses and reports itself. X.2.* says that there is a mailbox (RFC 3463 §3.3).
    """
    command = answered(report or said, said)
    if command is Command.MAIL:
        return Verdict.BLOCK
    code = _code(status)
    if command is Command.RCPT or (code and code.verdict is Verdict.HARD):
        return Verdict.HARD
    if command is Command.DATA or is_afterwards(said) or (status and status[2:4] == "2."):
        return Verdict.SOFT
    reason = _reason(_flat(own_words(own[:SAID_LIMIT])))
    return Verdict.HARD if reason and reason.doubtful else Verdict.SOFT


def _flat(said: str) -> str:
    """In lower case and on one line, without the codes that each line of a longer answer repeats."""
    text = said[:SAID_LIMIT]
    if " - " in text:
        text = _WRAPPED.sub("", text)  # the sending server's own words before those that it was told
    return _SPACE.sub(" ", _CONTINUED.sub(" ", text)).lower()


def _verdict(code: Code | None, reason: Reason | None, temporary: bool) -> Verdict:
    if code and code.sure:
        return code.verdict
    if reason is None or (code and reason.vague and not code.vague):
        verdict = code.verdict if code else Verdict.OTHER
    else:
        verdict = reason.verdict
    if temporary and verdict in (Verdict.HARD, Verdict.OTHER):
        return Verdict.SOFT
    return verdict


def is_open(status: str | None, said: str) -> bool:
    """Whether neither the code nor the words tell the cause."""
    code, reason = _code(status), _reason(_flat(said))
    return (code is None or code.vague) and (reason is None or reason.vague)


def find_status(text: str) -> str | None:
    """The first enhanced status code in a text, or None."""
    match = _STATUS.search(text)
    return match[0] if match else None


def _best_status(status: str | None, said: str) -> str | None:
    """The report's code, unless it says little and the text has one that says more."""
    own = _code(status)
    if own is not None and not own.vague:
        return status
    for match in _STATUS.finditer(said):
        code = _code(match[0])
        if code is not None and (own is None or not code.vague):
            return match[0]
    return status


@lru_cache(maxsize=256)
def _code(status: str | None) -> Code | None:
    if not status or status[0] not in "45":
        return None
    rest = status[2:]
    if rest.startswith("7."):
        return CODES.get(rest, POLICY)
    return CODES.get(rest)


def _is_temporary(status: str | None, said: str) -> bool:
    if status:
        return status.startswith("4")
    replies = {match[1] for match in _REPLY.finditer(said[:SAID_LIMIT])}
    return replies == {"4"}


@lru_cache(maxsize=8)  # recipients of one report are often told of in the same words
def _reason(text: str) -> Reason | None:
    for reason, phrases, pairs in _compiled():
        for phrase in phrases:
            if phrase in text:
                return reason
        for pair in pairs:
            if pair.search(text):
                return reason
    return None


@cache  # not on import: it costs every process a tenth of a second, and few read mails
def _compiled() -> tuple[tuple[Reason, tuple[str, ...], tuple[re.Pattern[str], ...]], ...]:
    found = []
    for reason in REASONS:
        whole = tuple(phrase for phrase in reason.phrases if "…" not in phrase)
        gaps = [phrase for phrase in reason.phrases if "…" in phrase]
        pairs = tuple(
            re.compile(".{0,60}".join(re.escape(piece.strip()) for piece in phrase.split("…"))) for phrase in gaps
        )
        found.append((reason, whole, pairs))
    return tuple(found)
