"""What each provider calls what happened, and what it is in the closed vocabulary."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from notify.channels.agents import is_machine
from notify.channels.hook import Payload
from notify.channels.reporters import readers
from notify.model import BounceClass, Event, EventType
from tests.conformance.signers import (
    ADDRESS,
    NOW,
    OURS,
    TOPIC,
    iso,
    mailgun_event,
    postmark_record,
    sendgrid_event,
    ses_event,
)

HARD, SOFT, BLOCK, CONTENT, OTHER = BounceClass
READERS = readers(frozenset({TOPIC}))
APPLE, PERSON = "Mozilla/5.0", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.0"


def told(provider: str, said: Any) -> list[Event]:
    form = provider == "twilio"
    body = urlencode(said).encode() if form else json.dumps(said).encode()
    kind = "application/x-www-form-urlencoded" if form else "application/json"
    return READERS[provider].events(Payload("delivery-1", body, kind, NOW))


def one(provider: str, said: Any) -> Event:
    (event,) = told(provider, said)
    return event


# Amazon SES


@pytest.mark.parametrize(
    ("kind", "subtype", "status", "expected"),
    [
        ("Permanent", "General", "5.1.1", HARD),
        ("Permanent", "NoEmail", "5.1.1", HARD),
        ("Permanent", "Suppressed", "5.1.1", HARD),
        ("Permanent", "OnAccountSuppressionList", None, OTHER),
        ("Permanent", "OnAccountSuppressionList", "5.1.1", OTHER),
        ("Permanent", "UnsubscribedRecipient", None, OTHER),
        ("Permanent", "General", "5.7.1", BLOCK),
        ("Permanent", "General", "5.2.2", SOFT),
        ("Permanent", "General", "5.3.4", CONTENT),
        ("Permanent", "General", "4.4.7", SOFT),
        ("Permanent", "General", "5.0.0", HARD),
        ("Permanent", "SomethingNew", None, HARD),
        ("Transient", "General", "5.1.1", SOFT),
        ("Transient", "MailboxFull", "5.2.2", SOFT),
        ("Transient", "CustomTimeoutExceeded", None, SOFT),
        ("Transient", "MessageTooLarge", "5.3.4", CONTENT),
        ("Transient", "ContentRejected", "5.6.0", CONTENT),
        ("Transient", "AttachmentRejected", "5.6.1", CONTENT),
        ("Transient", "SomethingNew", None, SOFT),
        ("Undetermined", "Undetermined", None, OTHER),
        ("SomethingNew", None, "5.1.1", OTHER),
    ],
)
@pytest.mark.parametrize("provider", ["ses", "resend"])
def test_a_bounce_of_ses_is_hard_only_when_it_is_permanent(
    provider: str, kind: str, subtype: str | None, status: str | None, expected: BounceClass
) -> None:
    diagnostic = f"smtp; 550 {status} it says" if status else "it says"
    bounce = {"bounceType": kind, "bounceSubType": subtype, "timestamp": iso(), "feedbackId": "f1"}
    said = ses_event("Bounce", bounce={**bounce, "bouncedRecipients": [{"emailAddress": ADDRESS, "status": status}]})
    if provider == "resend":
        data = {"to": [ADDRESS], "bounce": {"type": kind, "subType": subtype, "message": diagnostic}}
        said = {"type": "email.bounced", "created_at": iso(), "data": data}
    event = one(provider, said)
    assert (event.type, event.bounce, event.status) == (EventType.BOUNCED, expected, status)


@pytest.mark.parametrize(
    ("kind", "more", "type_", "bounce"),
    [
        ("Send", {"send": {}}, EventType.ACCEPTED, None),
        ("Delivery", {"delivery": {"recipients": [ADDRESS], "timestamp": iso()}}, EventType.DELIVERED, None),
        (
            "DeliveryDelay",
            {"deliveryDelay": {"delayType": "MailboxFull", "delayedRecipients": [{"emailAddress": ADDRESS}]}},
            EventType.DEFERRED,
            None,
        ),
        ("Reject", {"reject": {"reason": "Bad content"}}, EventType.BOUNCED, CONTENT),
        ("Rendering Failure", {"failure": {"errorMessage": "no such variable"}}, EventType.BOUNCED, CONTENT),
        (
            "Complaint",
            {"complaint": {"complainedRecipients": [{"emailAddress": ADDRESS}], "complaintFeedbackType": "abuse"}},
            EventType.COMPLAINED,
            None,
        ),
        ("Complaint", {"complaint": {"complainedRecipients": [{"emailAddress": ADDRESS}]}}, EventType.COMPLAINED, None),
        ("Open", {"open": {"timestamp": iso(), "userAgent": PERSON}}, EventType.OPENED, None),
        ("Click", {"click": {"timestamp": iso(), "link": "https://x.example/"}}, EventType.CLICKED, None),
        (
            "Subscription",
            {"subscription": {"newTopicPreferences": {"unsubscribeAll": True}}},
            EventType.UNSUBSCRIBED,
            None,
        ),
    ],
)
def test_each_event_of_ses_is_known(
    kind: str, more: dict[str, Any], type_: EventType, bounce: BounceClass | None
) -> None:
    event = one("ses", ses_event(kind, **more))
    assert (event.type, event.bounce, event.address, event.message_id) == (type_, bounce, ADDRESS, OURS)
    assert event.provider_message_id == "0100017c-mail"


@pytest.mark.parametrize(
    "said",
    [
        ses_event(
            "Complaint",
            complaint={"complainedRecipients": [{"emailAddress": ADDRESS}], "complaintFeedbackType": "not-spam"},
        ),
        ses_event("Subscription", subscription={"newTopicPreferences": {"unsubscribeAll": False}}),
        ses_event("Bounce", bounce={"bounceType": "Permanent", "bouncedRecipients": []}),
    ],
    ids=["not spam", "still subscribed", "nobody"],
)
def test_what_ses_tells_of_nobody_is_no_event(said: Any) -> None:
    assert told("ses", said) == []


def test_a_notification_of_an_identity_and_a_published_event_are_the_same_event() -> None:
    bounce = {
        "bounceType": "Permanent",
        "bouncedRecipients": [{"emailAddress": ADDRESS}],
        "timestamp": iso(),
        "feedbackId": "f1",
    }
    published = ses_event("Bounce", bounce=bounce)
    notified = {"notificationType": "Bounce", "bounce": bounce, "mail": {"messageId": "0100017c-mail"}}
    assert one("ses", published).provider_event_id == one("ses", notified).provider_event_id
    assert one("ses", notified).message_id is None


def test_each_recipient_of_a_bounce_has_an_event_of_their_own() -> None:
    both = [{"emailAddress": "Ada <ada@example.test>"}, {"emailAddress": "bob@example.test"}]
    bounce = {"bounceType": "Permanent", "bouncedRecipients": both, "timestamp": iso(), "feedbackId": "f1"}
    events = told("ses", ses_event("Bounce", bounce=bounce))
    assert [event.address for event in events] == ["ada@example.test", "bob@example.test"]
    assert len({event.provider_event_id for event in events}) == 2


# Resend


@pytest.mark.parametrize(
    ("kind", "type_", "bounce"),
    [
        ("email.sent", EventType.ACCEPTED, None),
        ("email.delivered", EventType.DELIVERED, None),
        ("email.delivery_delayed", EventType.DEFERRED, None),
        ("email.complained", EventType.COMPLAINED, None),
        ("email.opened", EventType.OPENED, None),
        ("email.clicked", EventType.CLICKED, None),
        ("email.suppressed", EventType.BOUNCED, OTHER),
        ("email.failed", EventType.BOUNCED, OTHER),
    ],
)
@pytest.mark.parametrize("tags", [{"message_id": str(OURS)}, [{"name": "message_id", "value": str(OURS)}]])
def test_each_event_of_resend_is_known(kind: str, type_: EventType, bounce: BounceClass | None, tags: Any) -> None:
    data = {"email_id": "e1", "to": [ADDRESS], "tags": tags, "failed": {"reason": "no such key"}}
    event = one("resend", {"type": kind, "created_at": iso(), "data": data})
    assert (event.type, event.bounce, event.message_id, event.address) == (type_, bounce, OURS, ADDRESS)
    assert (event.provider_event_id, event.provider_message_id) == ("delivery-1", "e1")


# SendGrid


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"type": "bounce"}, OTHER),
        ({"type": "bounce", "bounce_classification": "Unclassified"}, OTHER),
        ({"type": "bounce", "status": "5.0.0"}, OTHER),
        ({"type": "bounce", "status": "5.1.1"}, HARD),
        ({"type": "bounce", "bounce_classification": "Unclassified", "status": "5.1.1"}, HARD),
        ({"type": "bounce", "bounce_classification": "Unclassified", "status": "5.2.2"}, SOFT),
        ({"type": "bounce", "status": "5.3.4"}, CONTENT),
        ({"type": "bounce", "status": "4.4.1"}, SOFT),
        ({"type": "bounce", "status": "5.7.1"}, BLOCK),
        ({"type": "bounce", "bounce_classification": "Invalid Address", "status": "5.7.1"}, BLOCK),
        ({"type": "bounce", "bounce_classification": "Invalid Address"}, HARD),
        ({"type": "bounce", "bounce_classification": "Mailbox Unavailable"}, SOFT),
        ({"type": "bounce", "bounce_classification": "Technical"}, SOFT),
        ({"type": "bounce", "bounce_classification": "Reputation"}, BLOCK),
        ({"type": "bounce", "bounce_classification": "Content"}, CONTENT),
        ({"type": "blocked"}, BLOCK),
        ({"type": "blocked", "bounce_classification": "Invalid Address"}, BLOCK),
        ({"type": "blocked", "bounce_classification": "Mailbox Unavailable"}, SOFT),
        ({"type": "blocked", "bounce_classification": "Content"}, CONTENT),
    ],
)
def test_what_sendgrid_calls_blocked_is_never_the_addresss_fault(more: dict[str, str], expected: BounceClass) -> None:
    assert one("sendgrid", [sendgrid_event("bounce", **more)]).bounce is expected


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("Bounced Address", HARD),
        ("Invalid", HARD),
        ("Unsubscribed Address", OTHER),
        ("Spam Reporting Address", OTHER),
        ("Spam Content (if Spam Checker app is enabled)", CONTENT),
        ("Recipient List over Package Quota", BLOCK),
    ],
)
def test_what_sendgrid_dropped_is_a_bounce_by_its_reason(reason: str, expected: BounceClass) -> None:
    event = one("sendgrid", [sendgrid_event("dropped", reason=reason)])
    assert (event.type, event.bounce) == (EventType.BOUNCED, expected)


def test_events_of_sendgrid_carry_the_id_that_it_answered_and_the_bot_flag() -> None:
    opened = one("sendgrid", [sendgrid_event("open", sg_machine_open=True, useragent=PERSON)])
    assert (opened.type, opened.bot) == (EventType.OPENED, True)
    assert (opened.provider_message_id, opened.header_id) == ("14c5d75ce93.dfd.64b469", "<x@ismtpd-555>")
    modern = one("sendgrid", [sendgrid_event("delivered", sg_message_id="KdS_x1w.recvd-5d8-2-6.1")])
    assert modern.provider_message_id == "KdS_x1w"


# Mailgun


@pytest.mark.parametrize(
    ("more", "type_", "bounce"),
    [
        ({"severity": "temporary", "reason": "generic"}, EventType.DEFERRED, None),
        ({"severity": "temporary", "reason": "greylisted"}, EventType.DEFERRED, None),
        ({"severity": "permanent", "reason": "bounce"}, EventType.BOUNCED, HARD),
        ({"severity": "permanent", "reason": "suppress-bounce"}, EventType.BOUNCED, HARD),
        ({"severity": "permanent", "reason": "suppress-unsubscribe"}, EventType.BOUNCED, OTHER),
        ({"severity": "permanent", "reason": "suppress-complaint"}, EventType.BOUNCED, OTHER),
        ({"severity": "permanent", "reason": "espblock"}, EventType.BOUNCED, BLOCK),
        ({"severity": "permanent", "reason": "old"}, EventType.BOUNCED, SOFT),
        ({"severity": "permanent", "reason": "generic"}, EventType.BOUNCED, OTHER),
        (
            {"severity": "permanent", "reason": "bounce", "delivery-status": {"message": "550 5.7.1 spam"}},
            EventType.BOUNCED,
            BLOCK,
        ),
        (
            {"severity": "permanent", "reason": "bounce", "delivery-status": {"bounce-type": "soft"}},
            EventType.BOUNCED,
            SOFT,
        ),
    ],
)
def test_what_failed_at_mailgun_is_a_bounce_once_it_is_permanent(
    more: dict[str, Any], type_: EventType, bounce: BounceClass | None
) -> None:
    event = one("mailgun", mailgun_data("failed", **more))
    assert (event.type, event.bounce) == (type_, bounce)


def mailgun_data(event: str, **more: Any) -> dict[str, Any]:
    return {"event-data": mailgun_event(event, **more)}


def test_events_of_mailgun_carry_the_id_that_it_answered_and_the_bot_flag() -> None:
    opened = one("mailgun", mailgun_data("opened", **{"client-info": {"bot": "apple", "user-agent": PERSON}}))
    assert (opened.bot, opened.provider_message_id) == (True, "20261121093000.1@mg.example.org")
    assert opened.header_id == "<20261121093000.1@mg.example.org>"
    assert not one("mailgun", mailgun_data("opened", **{"client-info": {"bot": "", "user-agent": PERSON}})).bot


# Postmark


@pytest.mark.parametrize(
    ("word", "type_", "bounce"),
    [
        ("HardBounce", EventType.BOUNCED, HARD),
        ("BadEmailAddress", EventType.BOUNCED, HARD),
        ("SoftBounce", EventType.BOUNCED, SOFT),
        ("DnsError", EventType.BOUNCED, SOFT),
        ("Blocked", EventType.BOUNCED, BLOCK),
        ("DMARCPolicy", EventType.BOUNCED, BLOCK),
        ("SpamNotification", EventType.BOUNCED, BLOCK),
        ("VirusNotification", EventType.BOUNCED, CONTENT),
        ("ManuallyDeactivated", EventType.BOUNCED, OTHER),
        ("SomethingNew", EventType.BOUNCED, OTHER),
        ("Transient", EventType.DEFERRED, None),
        ("AutoResponder", EventType.AUTO_REPLIED, None),
        ("Unsubscribe", EventType.UNSUBSCRIBED, None),
        ("SpamComplaint", EventType.COMPLAINED, None),
    ],
)
def test_what_postmark_calls_a_bounce_is_one_by_its_type(
    word: str, type_: EventType, bounce: BounceClass | None
) -> None:
    event = one("postmark", postmark_record("Bounce", ID=1, Type=word, Email=ADDRESS, BouncedAt=iso()))
    assert (event.type, event.bounce, event.address) == (type_, bounce, ADDRESS)


# whoever tells


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *[(one, HARD) for one in ("5.1.1", "5.1.10", "5.2.1", "5.0.0", "5.4.4")],
        *[(one, SOFT) for one in ("5.2.2", "4.2.2", "4.4.1", "4.1.1", "5.4.7", "4.0.0")],
        *[(one, BLOCK) for one in ("5.7.1", "5.7.26", "4.7.0", "5.1.8")],
        *[(one, CONTENT) for one in ("5.3.4", "5.2.3", "5.6.0", "5.6.1")],
    ],
)
def test_no_provider_condemns_an_address_that_the_status_clears(status: str, expected: BounceClass) -> None:
    diagnostic = f"550 {status} it says"
    gone = {"bounceType": "Permanent", "bouncedRecipients": [{"emailAddress": ADDRESS, "status": status}]}
    permanent = {"to": [ADDRESS], "bounce": {"type": "Permanent", "subType": "General", "message": diagnostic}}
    failed = {"severity": "permanent", "reason": "bounce", "delivery-status": {"message": diagnostic}}
    invalid = {"type": "bounce", "bounce_classification": "Invalid Address", "status": status}
    told_by = {
        "ses": ses_event("Bounce", bounce={**gone, "timestamp": iso(), "feedbackId": "f1"}),
        "resend": {"type": "email.bounced", "created_at": iso(), "data": permanent},
        "sendgrid": [sendgrid_event("bounce", **invalid)],
        "mailgun": mailgun_data("failed", **failed),
        "postmark": postmark_record(
            "Bounce", ID=1, Type="HardBounce", Email=ADDRESS, Details=diagnostic, BouncedAt=iso()
        ),
    }
    assert {name: one(name, said).bounce for name, said in told_by.items()} == dict.fromkeys(told_by, expected)


@pytest.mark.parametrize(
    ("record", "more", "type_"),
    [
        ("Delivery", {"Recipient": ADDRESS, "DeliveredAt": "2026-11-21T09:30:00.1234567Z"}, EventType.DELIVERED),
        ("SpamComplaint", {"Email": ADDRESS, "ID": 7, "BouncedAt": iso()}, EventType.COMPLAINED),
        ("Open", {"Recipient": ADDRESS, "ReceivedAt": iso(), "UserAgent": PERSON}, EventType.OPENED),
        ("Click", {"Recipient": ADDRESS, "ReceivedAt": iso(), "OriginalLink": "https://x"}, EventType.CLICKED),
        (
            "SubscriptionChange",
            {"Recipient": ADDRESS, "SuppressSending": True, "SuppressionReason": "ManualSuppression"}
            | {"Origin": "Recipient", "ChangedAt": iso()},
            EventType.UNSUBSCRIBED,
        ),
    ],
)
def test_each_record_of_postmark_is_known(record: str, more: dict[str, Any], type_: EventType) -> None:
    event = one("postmark", postmark_record(record, **more))
    assert (event.type, event.address, event.message_id) == (type_, ADDRESS, OURS)


def test_a_suppression_that_postmark_made_itself_is_nobodys_word() -> None:
    change = {"SuppressSending": True, "SuppressionReason": "HardBounce", "Origin": "Recipient", "ChangedAt": iso()}
    assert told("postmark", postmark_record("SubscriptionChange", **change)) == []


def test_a_challenge_that_postmark_saw_tells_nothing() -> None:
    said = postmark_record("Bounce", ID=1, Type="ChallengeVerification", Email=ADDRESS, BouncedAt=iso())
    assert told("postmark", said) == []


# Twilio


@pytest.mark.parametrize(
    ("status", "error", "type_", "bounce"),
    [
        ("sent", "", EventType.ACCEPTED, None),
        ("delivered", "", EventType.DELIVERED, None),
        ("read", "", EventType.READ, None),
        ("failed", "30005", EventType.BOUNCED, HARD),
        ("undelivered", "30003", EventType.BOUNCED, SOFT),
        ("undelivered", "30007", EventType.BOUNCED, BLOCK),
        ("undelivered", "30008", EventType.BOUNCED, OTHER),
        ("undelivered", "", EventType.BOUNCED, OTHER),
    ],
)
def test_each_status_of_twilio_is_known(status: str, error: str, type_: EventType, bounce: BounceClass | None) -> None:
    event = one("twilio", {"MessageSid": "SM1", "MessageStatus": status, "ErrorCode": error, "To": "+31612345678"})
    assert (event.type, event.bounce, event.provider_event_id) == (type_, bounce, f"SM1:{status}")
    assert event.at == NOW


# machines


@pytest.mark.parametrize(
    "agent",
    [
        APPLE,
        "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
        "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
        "Barracuda Sentinel (EE)",
        "Mozilla/5.0 (compatible; bingbot/2.0)",
        "python-requests/2.32",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/120.0",
    ],
)
def test_machines_are_told_by_their_names(agent: str) -> None:
    assert is_machine(agent)


CLIENT = "203.0.113.77"
OPENS: dict[str, Any] = {
    "ses": ses_event("Open", open={"timestamp": iso(), "userAgent": PERSON, "ipAddress": CLIENT}),
    "sendgrid": [sendgrid_event("open", useragent=PERSON, ip=CLIENT)],
    "mailgun": mailgun_data("opened", ip=CLIENT, **{"client-info": {"user-agent": PERSON}}),
    "postmark": postmark_record("Open", ReceivedAt=iso(), UserAgent=PERSON, Geo={"IP": CLIENT}),
    "resend": {
        "type": "email.opened",
        "created_at": iso(),
        "data": {"email_id": "r-1", "to": [ADDRESS], "open": {"userAgent": PERSON, "ipAddress": CLIENT}},
    },
}


@pytest.mark.parametrize("provider", OPENS)
def test_neither_the_address_nor_the_program_of_who_opened_is_kept(provider: str) -> None:
    event = one(provider, OPENS[provider])
    assert (event.type, event.bot) == (EventType.OPENED, False)
    assert PERSON not in str(event)
    assert CLIENT not in str(event)


@pytest.mark.parametrize("agent", [None, "", PERSON, "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)"])
def test_people_are_not_taken_for_machines(agent: str | None) -> None:
    assert not is_machine(agent)
