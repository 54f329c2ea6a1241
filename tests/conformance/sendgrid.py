"""SendGrid's wire."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from werkzeug import Request

from tests.conformance.driver import Arrived
from tests.conformance.fake_api import FakeApi, Reply, Wire, serving_api, usual_replies

SERVES = "notify.channels.email.sendgrid:SendGrid"


def _person(named: dict[str, str]) -> tuple[str, str]:
    return named.get("name", ""), named["email"]


def _read(request: Request) -> Arrived:
    body = json.loads(request.get_data())
    ((recipient,),) = [one["to"] for one in body["personalizations"]]
    content = {part["type"]: part["value"] for part in body["content"]}
    return Arrived(
        sender=_person(body["from"]),
        recipient=_person(recipient),
        reply_to=_person(body["reply_to"]) if "reply_to" in body else None,
        subject=body["subject"],
        text=content.get("text/plain"),
        html=content.get("text/html"),
        files=[
            (file["filename"], file["type"], b64decode(file["content"]), file.get("content_id"))
            for file in body.get("attachments", [])
            if file["disposition"] == ("inline" if "content_id" in file else "attachment")
        ],
        headers={name.lower(): value for name, value in body["headers"].items()},
        secret=request.headers["Authorization"].removeprefix("Bearer "),
        tag=body["custom_args"]["message_id"],
    )


REPLIES = usual_replies(
    accepted=(202, "", {"X-Message-Id": "14c5d75ce93.dfd.64b469"}),
    recipient=(
        400,
        '{"errors": [{"message": "{recipient} {secret} is no address", "field": "personalizations.0.to.0.email"}]}',
        {},
    ),
    message=(400, '{"errors": [{"message": "{recipient} {secret}", "field": "content.0.value"}]}', {}),
)

ASKED: dict[str, Reply] = {
    "/v3/scopes": (200, '{"scopes": ["mail.send"]}', {}),
    "/v3/user/credits": (200, '{"remain": 70, "total": 100, "used": 30, "reset_frequency": "daily"}', {}),
}


@contextmanager
def serving(_folder: Path) -> Iterator[FakeApi]:
    secret = "SG.AbCdEfGhIjKlMnOpQrStUv.AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE"
    with serving_api(Wire(f"sendgrid://{secret}?region=eu", "/v3/mail/send", secret, _read, REPLIES, ASKED)) as fake:
        yield fake
