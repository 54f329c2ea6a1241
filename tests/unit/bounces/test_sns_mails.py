from __future__ import annotations

import json
from typing import Any

import pytest

from notify.feedback.bounces import Kind, Verdict, read
from tests.unit.bounces.mails import THEM, plain


def sns(told: Any) -> bytes:
    text = told if isinstance(told, str) else json.dumps(told)
    return plain(
        f"{text}\n\n--\nIf you wish to stop receiving notifications from this topic, visit the link below.",
        sender="no-reply@sns.amazonaws.com",
        subject="AWS Notification Message",
        x_amz_sns_message_id="1",
    )


def bounce(kind: str, status: str, said: str) -> dict[str, Any]:
    one = {"emailAddress": THEM, "action": "failed", "status": status, "diagnosticCode": said}
    return {
        "notificationType": "Bounce",
        "bounce": {"bounceType": kind, "bouncedRecipients": [one]},
        "mail": {"commonHeaders": {"messageId": "<1@sender.example>"}},
    }


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        (bounce("Permanent", "5.1.1", "smtp; 550 5.1.1 user unknown"), Verdict.HARD),
        (bounce("Transient", "5.1.1", "smtp; 550 5.1.1 user unknown"), Verdict.SOFT),
        (bounce("Transient", "5.3.4", "smtp; 552 message too large"), Verdict.CONTENT),
    ],
)
def test_a_bounce_that_comes_as_json_is_read(told: dict[str, Any], verdict: Verdict) -> None:
    found = read(sns(told))

    assert (found.kind, found.original_message_id) == (Kind.BOUNCE, "<1@sender.example>")
    assert [(one.address, one.verdict) for one in found.recipients] == [(THEM, verdict)]


def test_a_bounce_in_an_envelope_of_json_is_read() -> None:
    told = {"Type": "Notification", "Message": json.dumps(bounce("Permanent", "5.1.1", ""))}

    assert [one.verdict for one in read(sns(told)).recipients] == [Verdict.HARD]


def test_a_complaint_and_a_delivery_are_read() -> None:
    complained = {"eventType": "Complaint", "complaint": {"complainedRecipients": [{"emailAddress": THEM}]}}
    delivered = {"eventType": "Delivery", "delivery": {"recipients": [THEM]}}

    assert [read(sns(told)).kind for told in (complained, delivered)] == [Kind.COMPLAINT, Kind.DELIVERED]
    assert [one.address for one in read(sns(complained)).recipients] == [THEM]


@pytest.mark.parametrize(
    "told",
    [
        "{",
        "{}",
        "[]",
        "{" * 10_000,
        '{"Message": "{"}',
        '{"notificationType": 1}',
        '{"notificationType": "Bounce", "bounce": [1]}',
        '{"notificationType": "Bounce", "bounce": {"bouncedRecipients": [1, {"emailAddress": 2}]}}',
    ],
)
def test_json_of_another_shape_names_nobody(told: str) -> None:
    assert read(sns(told)).recipients == ()
