"""SendGrid's Inbound Parse: mails that it receives for a host name, whole or in fields, and proven before they count.

What it posts: https://www.twilio.com/docs/sendgrid/for-developers/parsing-email/setting-up-the-inbound-parse-webhook;
how it is signed:
https://www.twilio.com/docs/sendgrid/for-developers/parsing-email/securing-your-parse-webhooks. Without a signature, the
credentials that its address holds prove it (RFC 7617).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.message import Message
from hashlib import sha256
from typing import ClassVar, Self

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from notify.channels import form_data, signatures
from notify.channels.email.sendgrid_signature import SIGNATURE, Signed, public_key
from notify.channels.facts import Facts
from notify.channels.form_data import Cutting, FormPart
from notify.channels.hook import CarriedMail, HookRequest, Payload
from notify.errors import Unreadable, Unverified
from notify.model.text import storable

LARGEST = 32 * 1024 * 1024  # octets: mails have 30 MB at the most, and a form some more
LONGEST_TEXT = 256 * 1024  # octets of a text that a mail is put together from
LONGEST_FIELD = 2000  # characters of a content type, or of an address, that are looked at
_TOKEN = re.compile(r"[\w.+-]{1,80}", re.ASCII)
_TYPE = re.compile(r"[\w.+-]{1,80}/[\w.+-]{1,80}", re.ASCII)
_ATTACHMENT = re.compile(r"attachment\d{1,3}")


@dataclass(frozen=True)
class SendGridParse:
    """The public keys and the credentials in force, `user:password`."""

    name: ClassVar[str] = "sendgrid-parse"
    largest: ClassVar[int] = LARGEST
    keys: tuple[EllipticCurvePublicKey, ...] = field(repr=False)
    logins: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def from_secrets(cls, secrets: tuple[str, ...]) -> Self:
        """A secret with a colon is `user:password`; others are public keys of security policies. Raises ValueError."""
        logins = tuple(secret.encode() for secret in secrets if ":" in secret)
        return cls(tuple(public_key(secret) for secret in secrets if ":" not in secret), logins)

    def expect(self, request: HookRequest, now: datetime) -> _Arrival:
        """See `Carrier`. Where a key is in force, a signature decides, whatever the credentials."""
        login, signed = signatures.basic(request), SIGNATURE in request.headers
        if login is None and not signed:
            raise Unverified("missing", f"neither HTTP Basic authentication nor a header {SIGNATURE}")
        cutting = Cutting(request.headers.get("content-type", ""))
        if login is not None and self.logins and not (signed and self.keys):
            signatures.require_one([login], self.logins)
            return _Arrival(cutting)
        return _Arrival(cutting, Signed(self.keys, request, now))

    def mail(self, payload: Payload) -> CarriedMail:
        """As it was sent where the form has it, else put together from its fields. See `Carrier`."""
        parts = form_data.read(payload.content_type, payload.body)
        fields = {part.name: part for part in reversed(parts)}  # of a name that comes twice the first
        octets = fields["email"].content if "email" in fields else _put_together(parts, fields)
        return CarriedMail(octets, len(octets) + payload.left_out, _came_to(fields))


class _Arrival:
    """See `Arrival`. What the credentials have not proven, `signed` is to prove."""

    def __init__(self, cutting: Cutting, signed: Signed | None = None) -> None:
        self._cutting = cutting
        self._signed = signed
        self._digest = sha256()

    def add(self, octets: bytes) -> None:
        self._cutting.add(octets)
        self._digest.update(octets)
        if self._signed is not None:
            self._signed.add(octets)

    def verify(self) -> str:
        if self._signed is not None:
            self._signed.verify()
        return f"sha256:{self._digest.hexdigest()}"

    def kept(self) -> bytes:
        return self._cutting.kept()


def _came_to(fields: Mapping[str, FormPart]) -> str | None:
    """Whom the envelope names first: a report has one recipient."""
    if "envelope" not in fields:
        return None
    addresses = _object(fields, "envelope").items("to")
    if not all(isinstance(one, str) for one in addresses):
        raise Unreadable("wrong_type", "to of envelope is no list of texts")
    return storable(addresses[0], LONGEST_FIELD) if addresses else None


def _put_together(parts: Sequence[FormPart], fields: Mapping[str, FormPart]) -> bytes:
    """A mail of the same header fields and texts, with those attachments that a report consists of."""
    if "headers" not in fields:
        raise Unreadable("wrong_type", "the form has neither email nor headers")
    own, said = _head(fields["headers"].content)
    charsets, told = _object(fields, "charsets"), _object(fields, "attachment-info")
    pieces = [
        _piece(f"text/{kind}", fields[name].content[:LONGEST_TEXT], charsets.text(name))
        for name, kind in (("text", "plain"), ("html", "html"))
        if name in fields and fields[name].content
    ]
    texts = len(pieces)
    for part in parts:
        if _ATTACHMENT.fullmatch(part.name):
            kind = _type(part, told.within(part.name))
            if kind.startswith(("message/", "text/")):
                pieces.append(_piece(kind, part.content))
    if len(pieces) == texts == 1:
        return own + pieces[0]
    boundary = "=_" + sha256(b"".join(pieces)).hexdigest()
    content_type = f"Content-Type: {_whole(said, texts, len(pieces))}; boundary={boundary}\n\n"
    delimiter = f"\n--{boundary}".encode()
    return own + content_type.encode() + b"".join(delimiter + b"\n" + one for one in pieces) + delimiter + b"--\n"


def _head(octets: bytes) -> tuple[bytes, str]:
    """Its header fields without those that its new form replaces, and the type that it had."""
    kept, said, name = [], b"", b""
    for line in octets.splitlines():
        if not line.strip():
            continue  # it would end the head
        if not line[:1].isspace():
            name = line.partition(b":")[0].strip().lower()
        if name == b"content-type":
            said += line.partition(b":")[2] if not line[:1].isspace() else line
        elif not name.startswith(b"content-") and name != b"mime-version":
            kept.append(line)
    return b"\n".join([*kept, b"MIME-Version: 1.0\n"]), said[:LONGEST_FIELD].decode("latin-1").strip()


def _whole(said: str, texts: int, pieces: int) -> str:
    """The type of the whole, which tells reports from other mail (RFC 6522 §3)."""
    was: Message = Message()
    was["content-type"] = said
    report = was.get_param("report-type", "")
    if was.get_content_type() == "multipart/report" and isinstance(report, str) and _TOKEN.fullmatch(report):
        return f"multipart/report; report-type={report}"
    return "multipart/alternative" if texts == pieces else "multipart/mixed"


def _piece(kind: str, content: bytes, charset: str | None = None) -> bytes:
    parameter = f"; charset={charset}" if charset and _TOKEN.fullmatch(charset) else ""
    return f"Content-Type: {kind}{parameter}\nContent-Transfer-Encoding: 8bit\n\n".encode() + content


def _type(part: FormPart, told: Facts) -> str:
    """The more telling of the part's own type and the one that is told of it."""
    kind = part.type if part.type not in ("", "application/octet-stream") else told.text("type") or ""
    kind = kind.partition(";")[0].strip().lower()
    return kind if _TYPE.fullmatch(kind) else ""


def _object(fields: Mapping[str, FormPart], name: str) -> Facts:
    """The JSON object in this field; an empty one where there is none."""
    try:
        return Facts(json.loads(fields[name].content) if name in fields else {}, name)
    except (ValueError, RecursionError):
        raise Unreadable("not_json", f"{name} is no JSON text in UTF-8") from None
