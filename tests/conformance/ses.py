"""The wire of Amazon SES: its JSON API, each request signed (AWS Signature Version 4)."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from werkzeug import Request

from tests.conformance.driver import Arrived, Driver, Mood, from_mime
from tests.conformance.fake_api import Reply, Wire, serving_api, usual_replies

SERVES = "notify.channels.email.ses:Ses"
KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI+K7MDENG/bPxRfiCYEXAMPLEKEY"
_SIGNED = re.compile(r"Credential=(\w+)/\d+/([\w-]+)/ses/aws4_request, SignedHeaders=([\w;-]+), Signature=(\w+)")


def _read(request: Request) -> Arrived:
    body = json.loads(request.get_data())
    secret = SECRET if signed_by(request, SECRET) else None
    assert body["Destination"] == {"ToAddresses": ["ada@example.test"]}
    assert body["FromEmailAddress"] == "bounces@example.org"
    (tag,) = body["EmailTags"]
    assert tag["Name"] == "message_id"
    return from_mime(b64decode(body["Content"]["Raw"]["Data"]), secret=secret, tag=tag["Value"])


def signed_by(request: Request, secret: str) -> bool:
    """Whether the request's signature was made with this secret."""
    found = _SIGNED.search(request.headers["Authorization"])
    assert found is not None
    key, region, headers, signature = found.groups()
    signed = AWSRequest(
        method=request.method,
        url=request.url,
        data=request.get_data(),
        headers={name: request.headers[name] for name in headers.split(";")},
    )
    signed.context["timestamp"] = request.headers["X-Amz-Date"]
    auth = SigV4Auth(Credentials(key, secret), "ses", region)
    made: str = auth.signature(auth.string_to_sign(signed, auth.canonical_request(signed)), signed)
    return made == signature


def refusing(status: int, code: str, message: str) -> Reply:
    """An error as SES gives it."""
    return status, json.dumps({"message": message}), {"X-Amzn-ErrorType": code}


REPLIES = {
    **usual_replies(
        accepted=(200, '{"MessageId": "0102018c-7e57-000000"}', {}),
        recipient=refusing(400, "BadRequestException", "Local address contains control or whitespace: {recipient}"),
        message=refusing(400, "MessageRejected", "Message contains a virus. {secret}"),
    ),
    Mood.THROTTLING: refusing(429, "TooManyRequestsException", "Maximum sending rate exceeded."),
    Mood.REFUSING_THE_KEY: refusing(403, "UnrecognizedClientException", "The security token is invalid."),
}
ASKED: dict[str, Reply] = {"/v2/email/account": (200, json.dumps({"SendingEnabled": True}), {})}


@contextmanager
def serving(_folder: Path) -> Iterator[Driver]:
    url = f"ses://{KEY}:{SECRET.replace('/', '%2F')}@?region=eu-west-1"
    with serving_api(Wire(url, "/v2/email/outbound-emails", SECRET, _read, REPLIES, ASKED)) as fake:
        yield fake
