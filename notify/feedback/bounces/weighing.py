"""Weighs a status code against what was said with it: text beats a code that says little, and the other way round."""

from __future__ import annotations

import re
from functools import lru_cache

from notify.feedback.bounces.reasons import CODES, POLICY, REASONS, Code, Reason
from notify.feedback.bounces.report import Verdict

SAID_LIMIT = 3000  # characters of what was said that are looked at

_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")
_REPLY = re.compile(r"(?<![\d.:/-])([45])[0-5]\d(?=[ -])")
_SPACE = re.compile(r"\s+")
_WRAPPED = re.compile(
    r"(?:5\.1\.0 - unknown address error|5\.1\.2 - bad destination host|[45]\.3\.0 - other mail system problem"
    r"|[45]\.4\.\d - \w[\w ]{3,40}?) +(?=\d{3}[- ])",
    re.I,
)
_CONTINUED = re.compile(r"[ \t\n]+[45]\d\d[- ](?:[45]\.\d{1,3}\.\d{1,3}[ -]+)?")


def weigh(status: str | None, said: str) -> tuple[Verdict, str | None]:
    """The verdict, and the status code that tells most.

    `status` is the report's own (RFC 3464 §2.3.4), `said` whatever the servers or the report's author said.
    """
    best = _best_status(status, said[:SAID_LIMIT])
    code = _code(best)
    reason = _reason(_flat(said))
    temporary = _is_temporary(best, said)
    return _verdict(code, reason, temporary), best


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


def _reason(text: str) -> Reason | None:
    for reason, phrases, pairs in _COMPILED:
        for phrase in phrases:
            if phrase in text:
                return reason
        for pair in pairs:
            if pair.search(text):
                return reason
    return None


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


_COMPILED = _compiled()
