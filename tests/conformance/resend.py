"""Resend's wire."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from werkzeug import Request

from tests.conformance.driver import Arrived, person
from tests.conformance.fake_api import FakeApi, Reply, Wire, serving_api, usual_replies

SERVES = "notify.channels.email.resend:Resend"


def _read(request: Request) -> Arrived:
    body = json.loads(request.get_data())
    (recipient,) = body["to"]
    return Arrived(
        sender=person(body["from"]),
        recipient=person(recipient),
        reply_to=person(body["reply_to"]) if "reply_to" in body else None,
        subject=body["subject"],
        text=body.get("text"),
        html=body.get("html"),
        files=[
            (file["filename"], file["content_type"], b64decode(file["content"]), file.get("content_id"))
            for file in body.get("attachments", [])
        ],
        headers={name.lower(): value for name, value in body["headers"].items()},
        secret=request.headers["Authorization"].removeprefix("Bearer "),
        idempotency_key=request.headers["Idempotency-Key"],
        tag={tag["name"]: tag["value"] for tag in body["tags"]}["message_id"],
    )


REPLIES = usual_replies(
    accepted=(200, '{"id": "49a3999c-0ce1-4ea6-ab68-afcd6dc2e794"}', {}),
    recipient=(422, '{"name": "validation_error", "message": "Invalid `to` field: {recipient}, {secret}"}', {}),
    message=(422, '{"name": "invalid_attachment", "message": "what {recipient} gets, {secret}"}', {}),
)

ASKED: dict[str, Reply] = {"/domains": (200, '{"data": []}', {})}


@contextmanager
def serving(_folder: Path) -> Iterator[FakeApi]:
    secret = "re_AbCd1234_Resend.Secret"
    with serving_api(Wire(f"resend://{secret}", "/emails", secret, _read, REPLIES, ASKED, forwards_key=True)) as fake:
        yield fake
