"""The other end of SendGrid's Inbound Parse: forms as it posts them, whole mails or their fields, and its signature."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from notify.channels.hook import HookRequest
from tests.conformance.signers import HOOKS, NOW, elliptic, stamp

BOUNDARY = "xYzZY"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
LOGIN = "notify:correct horse"

Attachment = tuple[str, str, bytes]
"""File name, content type, content."""


def raw(mail: bytes, to: str | Sequence[str] = "bounces@example.org") -> HookRequest:
    """With *Send raw*: the mail as it came."""
    return form({"dkim": b"none", "email": mail, "to": b"whoever@example.org", "envelope": envelope(to)})


def fields(
    headers: bytes,
    texts: Mapping[str, bytes],
    attachments: Sequence[Attachment] = (),
    to: str = "bounces@example.org",
    **more: bytes,
) -> HookRequest:
    """Without it: what the mail consists of."""
    names = [f"attachment{number}" for number in range(1, len(attachments) + 1)]
    told = {
        name: {"filename": file, "name": file, "type": kind}
        for name, (file, kind, _) in zip(names, attachments, strict=True)
    }
    said = {"headers": headers, **texts, "envelope": envelope(to), "attachments": str(len(attachments)).encode()}
    if attachments:
        said["attachment-info"] = json.dumps(told).encode()
    return form({**said, **more}, dict(zip(names, attachments, strict=True)))


def envelope(to: str | Sequence[str]) -> bytes:
    return json.dumps({"to": [to] if isinstance(to, str) else list(to), "from": ""}).encode()


def form(texts: Mapping[str, bytes], files: Mapping[str, Attachment] | None = None) -> HookRequest:
    pieces = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n"
        for name, value in texts.items()
    ]
    for name, (file, kind, content) in (files or {}).items():
        head = f'Content-Disposition: form-data; name="{name}"; filename="{file}"\r\nContent-Type: {kind}'
        pieces.append(f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + content + b"\r\n")
    body = b"".join(pieces) + f"--{BOUNDARY}--\r\n".encode()
    return HookRequest(body, {"content-type": FORM}, HOOKS + "sendgrid-parse")


def signed(request: HookRequest, key: str = "new", at: datetime = NOW) -> HookRequest:
    """By a security policy of Inbound Parse, with the key of that name."""
    signature = elliptic(key).sign(stamp(at).encode() + request.body, ec.ECDSA(hashes.SHA256()))
    proof = {
        "x-twilio-email-event-webhook-signature": b64encode(signature).decode(),
        "x-twilio-email-event-webhook-timestamp": stamp(at),
    }
    return replace(request, headers={**request.headers, **proof})


def with_login(request: HookRequest, login: str = LOGIN) -> HookRequest:
    """By the credentials that the address of the webhook holds."""
    proof = {"authorization": f"Basic {b64encode(login.encode()).decode()}"}
    return replace(request, headers={**request.headers, **proof})
