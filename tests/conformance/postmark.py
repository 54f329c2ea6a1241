"""Postmark's wire."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from werkzeug import Request

from tests.conformance.driver import Arrived, Mood, person
from tests.conformance.fake_api import FakeApi, Reply, Wire, serving_api, usual_replies

SERVES = "notify.channels.email.postmark:Postmark"


def _read(request: Request) -> Arrived:
    body = json.loads(request.get_data())
    headers = {header["Name"].lower(): header["Value"] for header in body["Headers"]}
    assert headers.pop("x-pm-keepid") == "true"
    assert body["MessageStream"] == "news"
    return Arrived(
        sender=person(body["From"]),
        recipient=person(body["To"]),
        reply_to=person(body["ReplyTo"]) if "ReplyTo" in body else None,
        subject=body["Subject"],
        text=body.get("TextBody"),
        html=body.get("HtmlBody"),
        files=[
            (
                file["Name"],
                file["ContentType"],
                b64decode(file["Content"]),
                file["ContentID"].removeprefix("cid:") if "ContentID" in file else None,
            )
            for file in body.get("Attachments", [])
        ],
        headers=headers,
        secret=request.headers["X-Postmark-Server-Token"],
        tag=body["Metadata"]["message_id"],
    )


REPLIES = usual_replies(
    accepted=(200, '{"ErrorCode": 0, "Message": "OK", "MessageID": "0a129aee-e1cd-480d-b08d-4f48548ff48d"}', {}),
    recipient=(422, '{"ErrorCode": 406, "Message": "inactive: {recipient} {secret}"}', {}),
    message=(422, '{"ErrorCode": 411, "Message": "forbidden attachment for {recipient} {secret}"}', {}),
) | {Mood.REFUSING_THE_KEY: (401, '{"ErrorCode": 10, "Message": "who is {secret}?"}', {})}

ASKED: dict[str, Reply] = {"/message-streams/news": (200, '{"ID": "news"}', {})}


@contextmanager
def serving(_folder: Path) -> Iterator[FakeApi]:
    secret = "0a129aee-e1cd-480d-b08d-Postmark5ecr"
    with serving_api(Wire(f"postmark://{secret}?stream=news", "/email", secret, _read, REPLIES, ASKED)) as fake:
        yield fake
