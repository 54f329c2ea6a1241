"""Lists of suppressed addresses as providers export them, read into our words; what is no person's fault is left out.

SES, SendGrid, Mailgun and Postmark are recognised by their columns, in CSV and in JSON, and so is our own export. A
full mailbox, a server that was away, and a mail that was refused for its sender or content say nothing of an address:
such rows are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from notify.audience import list_files
from notify.errors import InvalidAddress, InvalidSuppression, OperatorError, RequestError, did_you_mean
from notify.model import Channel, Suppression
from notify.model.recipient import REASONS
from notify.store import tombstones

COLUMNS = ("channel", "address", "scope", "reason", "source", "since", "until", "note")
"""Those of our own export."""

_CODE = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")  # RFC 3463 §2
_REPLY = re.compile(r"\b([45])\d\d\b")  # RFC 5321 §4.2
_LASTING_MAILBOX = {"0", "1", "3"}  # RFC 3463 §3.3: other, disabled; over its limits or full comes and goes
_SES = {"bounce": "bounced", "complaint": "complained"}
_POSTMARK = {"hardbounce": "bounced", "spamcomplaint": "complained", "manualsuppression": "manual"}


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A row that is understood and suppresses nobody, and why."""

    reason: str


Read = Suppression | PassedOver
Folded = Callable[[Channel, str], str]
"""The form in which addresses are compared; raises `InvalidAddress`."""


@dataclass(frozen=True, slots=True)
class Form:
    """A form of list. `needs` are the columns that tell it, and `read` makes a suppression of a row."""

    name: str
    needs: frozenset[str]
    read: Callable[[Mapping[str, str]], Read]


def read(path: Path, folded: Folded, form: str | None = None) -> Iterator[tuple[int, Read | RequestError]]:
    """Each row of the file with its line: a suppression, why it is passed over, or the error that refuses it.

    `form` names one of FORMS where the columns do not tell. Raises `OperatorError` when the file is none of them.
    """
    known: Form | None = None if form is None else _named(form)
    for line, given in list_files.rows(path):
        row = {_plain(name): str(value).strip() for name, value in given.items() if name and value is not None}
        known = known or _recognised(path, row)
        try:
            if None in given or None in given.values():
                raise InvalidSuppression("it has not as many cells as there are columns")
            found = known.read(row)
            yield line, found if isinstance(found, PassedOver) else _folded(found, folded)
        except RequestError as error:
            yield line, error


def _named(form: str) -> Form:
    if form not in FORMS:
        raise InvalidSuppression(
            f"unknown form {form!r:.40}{did_you_mean(form, FORMS)} It is one of {', '.join(FORMS)}."
        )
    return FORMS[form]


def _recognised(path: Path, row: Mapping[str, str]) -> Form:
    """By the columns; where SendGrid's bounces and blocks have the same, by the name of the file."""
    for form in FORMS.values():
        if form.needs <= set(row):
            return FORMS["sendgrid-blocks"] if form.name == "sendgrid" and "block" in path.name.lower() else form
    raise OperatorError(
        f"{path}: not a list of suppressions that is known; its columns are {', '.join(row) or 'none'}\n"
        f"Next: export it from SES, SendGrid, Mailgun or Postmark, or write a CSV with the columns "
        f"{', '.join(COLUMNS)} (address and reason will do)."
    )


def _folded(row: Suppression, folded: Folded) -> Suppression:
    if tombstones.is_one(row.address):
        return row
    return Suppression(
        row.channel,
        folded(row.channel, row.address),
        row.reason,
        row.source,
        row.scope,
        row.expires_at,
        row.note,
        row.since,
    )


def _ours(row: Mapping[str, str]) -> Read:
    row = {name: value.removeprefix("'") for name, value in row.items()}  # that kept a spreadsheet from a formula
    channel = row.get("channel") or Channel.EMAIL
    if channel not in list(Channel):
        raise InvalidSuppression(f"unknown channel {channel!r:.40}{did_you_mean(channel, Channel)}")
    reason = row.get("reason") or "manual"
    if reason not in REASONS:
        raise InvalidSuppression(f"unknown reason {reason!r:.40}{did_you_mean(reason, REASONS)}")
    return Suppression(
        Channel(channel),
        _address(row, "address"),
        reason,
        row.get("source") or "import",
        row.get("scope") or "all",
        _moment(row.get("until")),
        row.get("note") or None,
        _moment(row.get("since")),
    )


def _ses(row: Mapping[str, str]) -> Read:
    reason = _SES.get(_first(row, "reason", "suppressionreason").lower())
    if reason is None:
        raise InvalidSuppression(f"unknown reason {_first(row, 'reason', 'suppressionreason')!r:.40}")
    since = _first(row, "lastupdatetime", "lastupdatedtime", "dateadded")
    return _email(row, "ses", reason, since, column="emailaddress")


def _postmark(row: Mapping[str, str]) -> Read:
    said = row["suppressionreason"].lower()
    if said not in _POSTMARK:
        raise InvalidSuppression(f"unknown reason {row['suppressionreason']!r:.40}")
    by_recipient = said == "manualsuppression" and row.get("origin", "").lower() == "recipient"
    reason = "unsubscribed" if by_recipient else _POSTMARK[said]
    return _email(row, "postmark", reason, row.get("createdat", ""), column="emailaddress")


def _sendgrid(row: Mapping[str, str]) -> Read:
    """Bounces; without a reason, spam reports (which name an IP address) and unsubscribes."""
    if "status" in row or "reason" in row:
        if passing := _passing(row.get("status", ""), row.get("reason", "")):
            return passing
        return _email(row, "sendgrid", "bounced", row.get("created", ""), column="email", note=row.get("reason"))
    reason = "complained" if "ip" in row else "unsubscribed"
    return _email(row, "sendgrid", reason, row.get("created", ""), column="email")


def _blocks(row: Mapping[str, str]) -> Read:
    return PassedOver("a block: it was the sender or the content that was refused, not the address")


def _mailgun(row: Mapping[str, str]) -> Read:
    """Bounces have a code, unsubscribes have tags; what has neither is a complaint."""
    created = _first(row, "createdat", "created")
    if "code" in row or "error" in row:
        if passing := _passing(row.get("code", ""), row.get("error", "")):
            return passing
        return _email(row, "mailgun", "bounced", created, column="address", note=row.get("error"))
    if "tags" not in row and "tag" not in row:
        return _email(row, "mailgun", "complained", created, column="address")
    tags = set(re.findall(r"[^\s,;\[\]'\"]+", _first(row, "tags", "tag")))
    if tags - {"*"}:
        raise InvalidSuppression(
            f"unsubscribed from the tag {', '.join(sorted(tags - {'*'}))!r:.80} only; "
            "add it by hand with --scope and the category that is meant"
        )
    return _email(row, "mailgun", "unsubscribed", created, column="address")


def _passing(status: str, text: str) -> PassedOver | None:
    """Why this bounce says nothing lasting of the address; None when it does (RFC 3463 §2 to §3)."""
    code = _CODE.search(status) or _CODE.search(text)
    if code is None:
        reply = _REPLY.search(status) or _REPLY.search(text)
        return PassedOver("a soft bounce: it may work again") if reply and reply[1] == "4" else None
    kind, subject, detail = code.groups()
    if kind != "5" or (subject == "2" and detail not in _LASTING_MAILBOX) or subject in ("3", "4"):
        return PassedOver(f"a soft bounce ({code[0]}): it may work again")
    if subject in ("6", "7"):
        return PassedOver(f"a block ({code[0]}): it was the sender or the content that was refused, not the address")
    return None


def _email(
    row: Mapping[str, str], source: str, reason: str, since: str, *, column: str, note: str | None = None
) -> Suppression:
    shown = note[:200].replace("\0", "") if note else None
    return Suppression(Channel.EMAIL, _address(row, column), reason, source, note=shown, since=_moment(since))


def _address(row: Mapping[str, str], column: str) -> str:
    if not row.get(column):
        raise InvalidAddress("it has no address")
    return row[column]


def _first(row: Mapping[str, str], *names: str) -> str:
    return next((row[name] for name in names if row.get(name)), "")


def _moment(text: str | None) -> datetime | None:
    """Seconds since 1970 or ISO 8601, in UTC unless it says otherwise; RFC 1123 as Mailgun writes it."""
    if not text:
        return None
    try:
        if re.fullmatch(r"\d+(\.\d+)?", text):
            return datetime.fromtimestamp(float(text), UTC)
        if "," in text:
            return datetime.strptime(text, "%a, %d %b %Y %H:%M:%S %Z").replace(tzinfo=UTC)
        found = datetime.fromisoformat(re.sub(r"\s*UTC$", "+00:00", text))
    except (ValueError, OverflowError, OSError):
        raise InvalidSuppression(f"{text!r:.40} is no time; write it like 2031-05-01T09:00:00+02:00") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _plain(name: str) -> str:
    """A column's name without case, spaces and signs: `Email Address` is `EmailAddress` is `email_address`."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


OURS = Form("ours", frozenset({"address", "reason"}), _ours)
FORMS = {
    form.name: form
    for form in (
        Form("postmark", frozenset({"emailaddress", "suppressionreason", "origin"}), _postmark),
        Form("ses", frozenset({"emailaddress"}), _ses),
        OURS,
        Form("sendgrid", frozenset({"email", "created"}), _sendgrid),
        Form("sendgrid-blocks", frozenset({"email", "created", "reason", "status"}), _blocks),
        Form("mailgun", frozenset({"address", "createdat"}), _mailgun),
    )
}
"""By name. The first whose columns a row has is taken for the file's."""
