"""Mailgun's wire."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from werkzeug import Request

from tests.conformance.driver import Arrived, from_mime
from tests.conformance.fake_api import FakeApi, Reply, Wire, serving_api, usual_replies

SERVES = "notify.channels.email.mailgun:Mailgun"


def _read(request: Request) -> Arrived | None:
    assert request.authorization is not None
    assert request.authorization.username == "api"
    if "to" not in request.form:
        assert request.form["o:testmode"] == "yes"
        return None
    mail = from_mime(
        request.files["message"].read(), secret=request.authorization.password, tag=request.form["v:message_id"]
    )
    return replace(mail, recipient=(mail.recipient[0], request.form["to"]))


REPLIES = usual_replies(
    accepted=(200, '{"id": "<20261121.7E57@mg.example.org>", "message": "Queued. Thank you."}', {}),
    recipient=(400, '{"message": "to parameter is not a valid address: {recipient}, {secret}"}', {}),
    message=(400, '{"message": "cannot parse the MIME for {recipient}, {secret}"}', {}),
)

ASKED: Reply = (400, '{"message": "to parameter is missing"}', {})


@contextmanager
def serving(_folder: Path) -> Iterator[FakeApi]:
    secret = "0123456789abcdef-Mailgun-Secret"
    url, path = f"mailgun://{secret}@mg.example.org?region=eu", "/v3/mg.example.org/messages.mime"
    with serving_api(Wire(url, path, secret, _read, REPLIES, {path: ASKED})) as fake:
        yield fake
