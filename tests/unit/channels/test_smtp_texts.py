"""What large receivers and common servers say when they refuse, word for word, and what it means.

Addresses and ids are examples. Lines of one reply are parted by a bar.
"""

from __future__ import annotations

import pytest

from notify.channels.email.smtp_replies import LONGEST_WAIT, Step, refusal
from notify.errors import DeliveryError, Misconfigured, Rejected, Throttled, Transient

R, D, B, M, C, A = Step.RCPT, Step.DATA, Step.BODY, Step.MAIL, Step.CONNECT, Step.AUTH

DEAD_ADDRESSES = [
    # Gmail
    (
        R,
        "550-5.1.1 The email account that you tried to reach does not exist. Please try|5.1.1 double-checking the "
        "recipient's email address for typos. https://support.google.com/mail/?p=NoSuchUser a1-2si3.4 - gsmtp",
        "mailbox_unknown",
    ),
    (
        R,
        "550-5.2.1 The email account that you tried to reach is disabled. Learn more at|5.2.1 "
        "https://support.google.com/mail/?p=DisabledUser a1-2si3.4 - gsmtp",
        "mailbox_disabled",
    ),
    # Outlook.com and Exchange Online
    (R, "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302). [X.prod.outlook.com]", "mailbox_un"),
    (
        R,
        "550 5.4.1 Recipient address rejected: Access denied. AS(201806281) [X.mail.protection.outlook.com 2026]",
        "mailbox_unknown",
    ),
    (
        B,
        "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient ada@example.org not found by SMTP address lookup",
        "mail",
    ),
    (R, "550 5.4.310 DNS domain example.test does not exist [Message=InfoDomainNonexistent]", "domain_unknown"),
    # Yahoo
    (
        B,
        "554 delivery error: dd This user doesn't have a yahoo.com account (ada@yahoo.com) [0] - mta1.mail.yahoo.com",
        "mailbox_unknown",
    ),
    (R, "552 1 Requested mail action aborted, mailbox not found", "mailbox_unknown"),
    # Postfix
    (R, "550 5.1.1 <ada@example.org>: Recipient address rejected: User unknown in virtual mailbox table", "mailbox_un"),
    (R, "550 5.1.1 <spam@example.org>: Recipient address rejected: User unknown in local recipient table", "mailbox_u"),
    (R, "550 5.1.2 <ada@example.org>: Recipient address rejected: Domain not found", "domain_unknown"),
    (
        R,
        "556 5.1.10 <ada@example.org>: Recipient address rejected: Domain example.org does not accept mail",
        "domain_a",
    ),
    # Exim
    (R, "550 Unrouteable address", "mailbox_unknown"),
    (R, "550 No Such User Here", "mailbox_unknown"),
    # sendmail, qmail
    (R, "550 5.1.1 <ada@example.org>... User unknown", "mailbox_unknown"),
    (R, "550 5.1.2 ada@example.org... Host unknown (Name server: example.org: host not found)", "domain_unknown"),
    (R, "511 sorry, no mailbox here by that name (#5.1.1 - chkuser)", "mailbox_unknown"),
    (R, "550 sorry, no mailbox here by that name. (#5.1.1)", "mailbox_unknown"),
    (R, "550 Requested action not taken: mailbox unavailable", "mailbox_unavailable"),
    (R, "550 5.1.6 Recipient no longer on server", "mailbox_moved"),
    # the suspended account is the recipient's
    (R, "550 5.2.1 <ada@example.org>: Recipient account suspended", "mailbox_disabled"),
    (R, "550 5.2.1 <ada@example.org>: your account is suspended, said the mailbox", "mailbox_disabled"),
    (R, "550 Account suspended", "mailbox_disabled"),
    (R, "550 5.1.0 Mail account suspended", "mailbox_disabled"),
    (R, "554 5.2.1 Mailbox account suspended due to inactivity", "mailbox_disabled"),
]

REFUSED_MESSAGES = [
    (
        R,
        "552-5.2.2 The email account that you tried to reach is over quota. Please direct|5.2.2 the recipient to",
        "mailbox_full",
    ),
    (
        B,
        "554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuota",
        "mailbox_full",
    ),
    (R, "552 5.7.0 <ada@example.org>: Quota exceeded (mailbox for user is full)", "mailbox_full"),
    (R, "550 Mailbox is full", "mailbox_full"),
    (M, "552 5.3.4 Message size exceeds fixed limit", "too_large"),
    (M, "552 message size exceeds maximum permitted", "too_large"),
    (
        B,
        "552-5.3.4 Your message exceeded Google's message size limits. Please visit|5.3.4 https://support",
        "too_large",
    ),
    (B, "552 sorry, that message size exceeds my databytes limit (#5.3.4)", "too_large"),
    (B, "552 too much", "too_large"),
    (
        B,
        "550-5.7.1 [192.0.2.7      12] Our system has detected that this message is|5.7.1 likely unsolicited mail. To "
        "reduce the amount of spam sent to Gmail,|5.7.1 this message has been blocked.",
        "content_refused",
    ),
    (
        B,
        "552-5.7.0 This message was blocked because its content presents a potential|5.7.0 security issue.",
        "content_refused",
    ),
    (B, "554 5.6.0 Invalid message content", "content_refused"),
    (B, "554 5.7.1 Spam message rejected", "content_refused"),
    (B, "550 5.7.1 Virus detected: Eicar-Test-Signature", "content_refused"),
    (B, "550 Administrative prohibition", "blocked"),
    (R, "550 5.7.1 <ada@example.org>: Recipient address rejected: no", "blocked"),
    (R, "550 5.7.1", "blocked"),
    (R, "550 5.7.1 RESOLVER.RST.AuthRequired; authentication required", "recipient_restricted"),
    (R, "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required", "recipient_restricted"),
    (
        R,
        "550 5.7.1 recipient only accepts mail from authenticated senders: authentication required",
        "recipient_restricted",
    ),
    (B, "554 5.6.0 Too many MIME parts", "content_refused"),
    (B, "554 5.6.0 Too many nested multiparts", "content_refused"),
    (B, "554 Too many attachments in message", "content_refused"),
    (B, "550 5.7.1 too many links in message", "content_refused"),
    (B, "550 5.6.1 Message rate of spam too high", "content_refused"),
    (B, "554 Too many words", "body_rejected"),
    (B, "554 5.4.6 Too many hops", "routing_loop"),
    (B, "554 5.4.14 Hop count exceeded - possible mail loop ATTR34", "routing_loop"),
    (B, "554 5.4.6 Routing loop detected -- too many hops", "routing_loop"),
    (R, "500 5.5.2 Error: bad syntax", "recipient_rejected"),
]

OF_THIS_MAILBOX = [
    (
        R,
        "452-4.2.2 The email account that you tried to reach is over quota. Please direct|4.2.2 the",
        "mailbox_full",
        None,
    ),
    (B, "452 4.2.2 The recipient's inbox is out of storage space", "mailbox_full", None),
    (R, "452 <ada@example.org>: over quota", "mailbox_full", None),
    (
        R,
        "450-4.2.1 The user you are trying to contact is receiving mail too quickly.|4.2.1 Please resend your message",
        "mailbox_busy",
        300,
    ),
    (
        R,
        "550-5.2.1 The user you are trying to contact is receiving mail at a rate that|5.2.1 prevents",
        "mailbox_busy",
        300,
    ),
    # greylisting: Postgrey, SQLgrey, milter-greylist, rspamd, Exim, Exchange
    (
        R,
        "450 4.2.0 <ada@example.org>: Recipient address rejected: Greylisted, see http://postgrey.test",
        "greylisted",
        300,
    ),
    (R, "450 4.7.1 <ada@example.org>: Recipient address rejected: Greylisted for 5 minutes", "greylisted", 300),
    (R, "451 4.7.1 Greylisting in action, please come back in 00:04:32", "greylisted", 272),
    (R, "451 4.7.1 Greylisting in action, please come back later", "greylisted", 300),
    (B, "451 4.7.1 Try again later", "greylisted", 300),
    (B, "451 4.7.1 Greylisted, please try again in 180 seconds", "greylisted", 180),
    (R, "451 grey-listed: retry in 10 min", "greylisted", 600),
    (R, "450 Greylisted, try again after 2 hours", "greylisted", LONGEST_WAIT),
    (
        R,
        "451-192.0.2.7 is not yet authorized to deliver mail from|<x@y.z> to <ada@example.org>. Graylisted",
        "greylisted",
        300,
    ),
    (R, "550 5.2.0 recipient limit: 10 per day exceeded", "mailbox_busy", 300),
    # of the recipient, without a better word
    (R, "450 4.1.1 <ada@example.org>: Recipient address rejected: unverified address", "recipient_deferred", None),
    (R, "450 4.1.2 <ada@example.org>: Recipient address rejected: Domain not found", "recipient_deferred", None),
    (R, "450 mailbox unavailable", "recipient_deferred", None),
    (R, "451 4.4.1 Connection to the recipient's server timed out", "recipient_deferred", None),
    (B, "451 4.7.1 later", "body_deferred", None),
]

SLOW_DOWN = [
    # Gmail
    (
        B,
        "421-4.7.28 [192.0.2.7 15] Our system has detected an unusual rate of|4.7.28 unsolicited mail originating from "
        "your IP address. To protect our|4.7.28 users from spam, mail sent from your IP address has been temporarily",
        "rate_limited",
        60,
    ),
    (A, "454 4.7.0 Too many login attempts, please try again later. a1-2si3.4 - gsmtp", "rate_limited", 60),
    (
        B,
        "550-5.4.5 Daily user sending limit exceeded. For more information on Gmail|5.4.5 sending limits",
        "quota_used_up",
        900,
    ),
    # Outlook.com and Exchange Online
    (R, "451 4.7.500 Server busy. Please try again later from [192.0.2.7]. (AS761)", "rate_limited", 60),
    (
        C,
        "421 RP-001 (SNT004-MC1F) Unfortunately, some messages from 192.0.2.7 weren't sent. Please try again. We have "
        "limits for how many messages can be sent per hour and per day.",
        "quota_used_up",
        900,
    ),
    (B, "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", "rate_limited", 60),
    (
        M,
        "451 4.7.652 The mail server [192.0.2.7] has exceeded the maximum number of connections: throttled",
        "rate_limited",
        60,
    ),
    # Yahoo
    (
        M,
        "421 4.7.0 [TSS04] Messages from 192.0.2.7 temporarily deferred due to unexpected volume or user complaints - "
        "4.16.55.1; see https://postmaster.yahooinc.com/error-codes",
        "rate_limited",
        60,
    ),
    # Postfix, Exim, cPanel, Amazon SES
    (R, "450 4.7.1 Error: too much mail from 192.0.2.7", "rate_limited", 60),
    (C, "421 4.7.0 mx.example.org Error: too many connections from 192.0.2.7", "rate_limited", 60),
    (R, "452 4.5.3 Error: too many recipients", "rate_limited", 60),
    (C, "421 Too many concurrent SMTP connections; please try again later.", "rate_limited", 60),
    (M, "451 4.7.1 Rate limit exceeded, retry in 30 seconds", "rate_limited", 30),
    (
        R,
        "550 Domain example.org has exceeded the max emails per hour (110/100 (110%)) allowed. Message discarded.",
        "quota",
        900,
    ),
    (B, "550 5.7.1 Too many connections", "rate_limited", 60),
    (B, "550 5.7.28 unusual", "rate_limited", 60),
    (B, "454 Throttling failure: Maximum sending rate exceeded.", "rate_limited", 60),
    (B, "454 Throttling failure: Daily message quota exceeded.", "quota_used_up", 900),
]

OF_THE_PROVIDER = [
    (R, "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org", "host_blocked"),
    (R, "554 5.7.1 Service unavailable; Client host [5.1.1.7] blocked using zen.spamhaus.org", "host_blocked"),
    (R, "550 5.7.606 Access denied, banned sending IP [192.0.2.7]. To request removal from this list", "host_blocked"),
    (
        M,
        "550 5.7.1 Unfortunately, messages from [192.0.2.7] weren't sent. Please contact your Internet service "
        "provider since part of their network is on our block list (S3140).",
        "host_blocked",
    ),
    (
        B,
        "550-5.7.25 [192.0.2.7] The IP address sending this message does not have a|5.7.25 PTR record setup",
        "host_blocked",
    ),
    (
        B,
        "550-5.7.1 [192.0.2.7] The IP you're using to send mail is not authorized to|5.7.1 send email directly to our "
        "servers.",
        "host_blocked",
    ),
    (B, "550-5.7.26 This mail is unauthenticated, which poses a security risk to the|5.7.26 sender", "sender_unauth"),
    (B, "550 5.7.509 Access denied, sending domain example.org does not pass DMARC verification", "sender_unauth"),
    (R, "550 5.7.23 <ada@example.org>: Recipient address rejected: Message rejected due to: SPF fail", "sender_unauth"),
    (R, "554 5.7.1 <ada@example.org>: Relay access denied", "relay_denied"),
    (R, "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", "relay_denied"),
    (R, "550 5.7.1 Unable to relay", "relay_denied"),
    (R, "550 relay not permitted", "relay_denied"),
    (R, "550 5.7.1 <ada@example.org>... Relaying denied", "relay_denied"),
    (R, "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", "relay_denied"),
    (R, "550 5.1.8 <bounces@example.org>: Sender address rejected: Domain not found", "sender_refused"),
    (R, "450 4.1.8 <bounces@example.org>: Sender address rejected: Domain not found", "sender_refused"),
    (R, "550-Verification failed for <bounces@example.org>|Sender verify failed", "sender_refused"),
    (M, "550 no", "sender_rejected"),
    (M, "550 5.7.1 no", "blocked"),
    (R, "451 4.3.0 <ada@example.org>: Temporary lookup failure", "recipient_deferred"),
    (R, "451 Temporary local problem - please try later", "recipient_deferred"),
    (R, "452 4.3.1 Insufficient system storage", "system_unavailable"),
    (B, "452 4.3.1 Insufficient system storage", "system_unavailable"),
    (B, "451 4.3.0 Error: queue file write error", "body_deferred"),
    (R, "421 4.3.2 System not accepting network messages", "system_unavailable"),
    (R, "521 5.3.2 Host does not accept mail", "system_unavailable"),
    (B, "421 closing", "body_deferred"),
    # what only an operator could mend, told of one recipient: it may be that recipient's own trouble
    (R, "550 5.7.1 Authentication required", "authentication_required"),
    (R, "550 Your account has been suspended", "account_suspended"),
    (R, "553 5.7.1 <bounces@example.org>: Sender address rejected: not owned by user ada", "sender_refused"),
    (C, "554 5.7.1 blocked using zen.spamhaus.org", "connection_refused"),
    (A, "454 4.7.0 Temporary authentication failure", "auth_deferred"),
]

FOR_THE_OPERATOR = [
    (
        A,
        "535-5.7.8 Username and Password not accepted. For more information, go to|5.7.8 https://support",
        "auth_refused",
    ),
    (A, "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant", "auth_refused"),
    (M, "530 5.7.0 Must issue a STARTTLS command first.", "sender_refused"),
    (M, "530 5.7.57 Client not authenticated to send mail. [X.prod.outlook.com]", "sender_refused"),
    (M, "550 5.7.1 Authentication required", "authentication_required"),
    (M, "553 5.7.1 <bounces@example.org>: Sender address rejected: not owned by user ada", "sender_refused"),
    (M, "530 5.7.0 authenticate first", "sender_refused"),
    (R, "530 5.7.0 authenticate first", "recipient_refused"),
    (R, "550 5.7.57 Client not authenticated to send mail", "authentication_required"),
    (B, "550 5.7.60 SMTP; Client does not have permissions to send as this sender", "sender_refused"),
    (B, "554 5.2.252 SendAsDenied; bounces@example.org not allowed to send as news@example.org", "sender_refused"),
    (
        B,
        "554 Message rejected: Email address is not verified. The following identities failed the check",
        "sender_refused",
    ),
    (B, "550 The from address does not match a verified Sender Identity. Mail cannot be sent until", "sender_refused"),
    (
        M,
        "553 5.1.8 <bounces@example.org>... Domain of sender address bounces@example.org does not exist",
        "sender_refused",
    ),
    (M, "501 5.1.7 Bad sender address syntax", "sender_refused"),
    (M, "550 5.1.1 unknown", "sender_refused"),
    (M, "550 5.7.1 Your account has been suspended", "account_suspended"),
    (M, "550 5.7.1 Account suspended", "account_suspended"),
    (M, "550 Account suspended", "account_suspended"),
    (B, "554 Your account is disabled", "account_suspended"),
]


def meaning(step: Step, reply: str) -> DeliveryError:
    code, text = int(reply[:3]), reply[4:].replace("|", "\n")
    found = refusal(step, code, text.encode())
    assert found.response == f"{code} {text}".strip()
    return found


@pytest.mark.parametrize(("step", "reply", "reason"), DEAD_ADDRESSES)
def test_an_address_is_dead(step: Step, reply: str, reason: str) -> None:
    found = meaning(step, reply)
    assert isinstance(found, Rejected)
    assert found.reason.startswith(reason)
    assert found.scope == "address"


@pytest.mark.parametrize(("step", "reply", "reason"), REFUSED_MESSAGES)
def test_a_message_is_refused_and_its_address_lives(step: Step, reply: str, reason: str) -> None:
    found = meaning(step, reply)
    assert isinstance(found, Rejected)
    assert (found.reason, found.scope) == (reason, "message")


@pytest.mark.parametrize(("step", "reply", "reason", "wait"), OF_THIS_MAILBOX)
def test_a_mailbox_that_takes_nothing_now_is_asked_again(
    step: Step, reply: str, reason: str, wait: float | None
) -> None:
    found = meaning(step, reply)
    assert isinstance(found, Transient)
    assert (found.reason, found.scope, found.retry_after, found.line_lost) == (reason, "message", wait, False)


@pytest.mark.parametrize(("step", "reply", "reason", "wait"), SLOW_DOWN)
def test_a_server_that_finds_us_too_quick_throttles(step: Step, reply: str, reason: str, wait: float) -> None:
    found = meaning(step, reply)
    assert isinstance(found, Throttled)
    assert found.reason.startswith(reason)
    assert found.retry_after == wait
    assert found.line_lost is (reply.startswith("421") or step in (C, A))


@pytest.mark.parametrize(("step", "reply", "reason"), OF_THE_PROVIDER)
def test_what_another_provider_may_carry_is_no_fault_of_the_message(step: Step, reply: str, reason: str) -> None:
    found = meaning(step, reply)
    assert isinstance(found, Transient)
    assert found.reason.startswith(reason)
    assert found.scope == "provider"


@pytest.mark.parametrize(("step", "reply", "reason"), FOR_THE_OPERATOR)
def test_what_only_an_operator_can_mend_is_misconfigured(step: Step, reply: str, reason: str) -> None:
    found = meaning(step, reply)
    assert isinstance(found, Misconfigured)
    assert found.reason == reason


@pytest.mark.parametrize("name", ["spam", "greylisted", "too-many-connections", "quota.exceeded", "daily-limit", "spf"])
def test_no_word_of_an_address_decides_about_it(name: str) -> None:
    for reply in (f"550 <{name}@example.org>: no", f"550 {name}@example.org no", f"550 5.1.1 <{name}@example.org>"):
        found = meaning(R, reply)
        assert isinstance(found, Rejected)
        assert found.scope == "address"


def test_a_network_address_is_no_status() -> None:
    assert meaning(R, "550 5.1.1.7 is not welcome").reason == "recipient_rejected"
    assert meaning(R, "550 see 15.1.1 or 5.1.1.").reason == "mailbox_unknown"


def test_a_status_of_another_class_than_the_code_is_passed_over() -> None:
    assert meaning(R, "450 5.1.1 said the next server").reason == "recipient_deferred"
