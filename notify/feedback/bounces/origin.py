"""Tells whether a machine that delivers mail wrote one to say that it failed. Ordinary mail is never taken for that."""

from __future__ import annotations

import re
from collections.abc import Mapping

from notify.feedback.bounces.failure_words import MACHINE, SUBJECT, TEXT
from notify.feedback.bounces.mime import Part

ENOUGH = 4
ENOUGH_OF_A_STRANGER = 5  # when nothing but its words says that a machine wrote it

_FORWARDED = re.compile(
    r"^\s*(?:re|aw|sv|antw|fw|fwd|wg|tr|rv|enc|i|vs|doorst|vb|odp|ynt|ответ|回复|转发|答复)\s{0,3}(?:\[\d{1,4}\])?\s{0,3}[:：]",
    re.I,
)
_REPORTED = (
    "x-failed-recipients",
    "x-ms-exchange-message-is-ndr",
    "x-mx-bounce",
    "x-bounce",
    "x-dsncontext",
    "x-ahmailid",
    "x-mc-system",
)
_LIST = ("list-unsubscribe", "list-post", "list-id", "x-mailing-list", "x-campaign", "feedback-id")
_PERSON = ("user-agent", "x-originating-ip", "x-mozilla-draft-info")
_PROGRAMS = re.compile(r"smtp32|internet mail service|m-filter|workmail|delivery|daemon|mailmarshal|groupwise", re.I)
_WORDS_LIMIT = 6000
_OPENING = 400


def is_machine(mail: Part) -> bool:
    """Whether the mail's own fields say that a mail system sent it: its sender, or an empty return path."""
    return _is_daemon(mail) or _null_path(mail) or any(name in mail.fields for name in _REPORTED)


def may_report(mail: Part) -> bool:
    """Whether the fields leave it open that this is a report. Words in the text alone make no report."""
    return is_machine(mail) or bool(SUBJECT.search(mail.get("subject")[:500]))


def is_passed_on(mail: Part) -> bool:
    """Whether a person answered with it or forwarded it."""
    return bool(_FORWARDED.match(mail.get("subject"))) and not is_machine(mail)


def is_failure(mail: Part, text: str, returned: Mapping[str, list[str]]) -> bool:
    """Whether the mail tells of a failed delivery: words alone do not do, nor does a machine alone."""
    subject = mail.get("subject")[:500]
    in_subject = bool(SUBJECT.search(subject))
    machine = is_machine(mail)
    if not (in_subject or machine):
        return False
    words = TEXT.search(text[:_WORDS_LIMIT])
    if not in_subject and words is None:
        return False
    weight = 2 * in_subject + bool(returned)
    if words is not None:
        weight += 2 if words.start() < _OPENING else 1
    weight += 2 * _is_daemon(mail) + 2 * _null_path(mail)
    weight += 2 * any(name in mail.fields for name in _REPORTED)
    weight += 2 * (mail.parameters.get("report-type", "").lower() == "delivery-status")
    weight += bool(_PROGRAMS.search(mail.get("x-mailer")))
    weight += mail.get("auto-submitted").lower().startswith("auto-")
    if not machine:
        weight -= 3 * any(name in mail.fields for name in _LIST)
        weight -= any(name in mail.fields for name in _PERSON)
        weight -= 3 * bool(MACHINE.search(" ".join(returned.get("from", ()))[:500]))  # quotes somebody's bounce
        weight -= 3 * (bool(_FORWARDED.match(subject)) or _is_quoting(text))
    return weight >= (ENOUGH if machine else ENOUGH_OF_A_STRANGER)


def _is_daemon(mail: Part) -> bool:
    return bool(MACHINE.search(mail.get("from")[:500]))


def _null_path(mail: Part) -> bool:
    for name in ("return-path", "x-envelope-from", "envelope-from", "x-mimecast-originator"):
        for value in mail.fields.get(name, ()):
            bare = value.replace(" ", "").lower()
            if bare in ("<>", "") or bare.startswith(("<mailer-daemon", "mailer-daemon")):
                return True
    return mail.get("from").rstrip().endswith("<>")


def _is_quoting(text: str) -> bool:
    """Whether the words are mostly somebody else's, each line marked as such."""
    lines = [line for line in text[:_WORDS_LIMIT].split("\n") if line.strip()]
    quoted = sum(1 for line in lines if line.startswith(("> ", ">>", "| ")) and not line.startswith(">>> "))
    return quoted * 3 > len(lines) > 0
