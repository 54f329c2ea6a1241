from __future__ import annotations

import pytest

from notify.feedback.bounces import Kind, Verdict, read
from tests.unit.bounces.mails import RETURNED, THEM, US, multipart, plain

HARD, SOFT, BLOCK, CONTENT = Verdict.HARD, Verdict.SOFT, Verdict.BLOCK, Verdict.CONTENT

EXIM = f"""This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  {THEM}
    host mx.receiver.example [192.0.2.1]
    SMTP error from remote mail server after RCPT TO:<{THEM}>:
    550 No such person at this address

------ This is a copy of the message, including all the headers. ------

{RETURNED}"""
QMAIL = f"""Hi. This is the qmail-send program at mx.receiver.example.
I'm afraid I wasn't able to deliver your message to the following addresses.

<{THEM}>:
192.0.2.1 does not like recipient.
Remote host said: 552 Mailbox over quota
Giving up on 192.0.2.1.

--- Below this line is a copy of the message.

{RETURNED}"""
POSTFIX = f"""This is the mail system at host mx.sender.example.

For further assistance, please send mail to <postmaster@mx.sender.example>

<{THEM}>: connect to mx.receiver.example[192.0.2.1]: Connection timed out
"""
SENDMAIL = f"""The original message was received at Mon, 2 Mar 2026 09:00:00 GMT
from localhost

   ----- The following addresses had permanent fatal errors -----
<{THEM}>

   ----- Transcript of session follows -----
... while talking to mx.receiver.example.:
>>> RCPT To:<{THEM}>
<<< 550 5.7.1 Mail from 192.0.2.9 refused by blackhole site; see our blacklist
554 5.0.0 Service unavailable

   ----- Original message follows -----

{RETURNED}"""
EXCHANGE = f"""Your message

  To:      {THEM}
  Subject: March
  Sent:    Mon, 2 Mar 2026 09:00:00 -0000

did not reach the following recipient(s):

{THEM} on Mon, 2 Mar 2026 09:00:05 -0000
    The recipient name is not recognized
        The MTS-ID of the original message is: c=us;a= ;p=ex;l=MX-0001
"""
DOMINO = f"""Your message

  Subject: March

was not delivered to:

  {THEM}

because:

  User ada ({THEM}) not listed in Domino Directory
"""
GMAIL = f"""Delivery to the following recipient failed permanently:

     {THEM}

Technical details of permanent failure:
The recipient server did not accept our requests to connect.

----- Original message -----

{RETURNED}"""
YAHOO = f"""Message from receiver.example.
Unable to deliver message to the following address(es).

<{THEM}>:
This user doesn't have a receiver.example account ({THEM}) [0]

--- Original message follows.

{RETURNED}"""
GROUPWISE = f"""The message that you sent was undeliverable to the following:
\tada@receiver.example (user not found)

Possibly truncated original message follows:

{RETURNED}"""
IMAIL = f"""User mailbox exceeds allowed size: {THEM}


Original message follows.

{RETURNED}"""
MDAEMON = f"""The following data may contain sections which represent BASE64 encoded
file attachments.

Failed address: {THEM}

--- Session Transcript ---
 <-- 550 5.1.1 <{THEM}>: Recipient unknown
--- End Transcript ---
"""
COURIER = f"""This is a delivery status notification from mx.receiver.example,
running the Courier mail server.

                           UNDELIVERABLE MAIL

Your message to the following recipients cannot be delivered:

<{THEM}>:
    mx.receiver.example [192.0.2.1]:
>>> DATA
<<< 554 5.7.1 This message looks like spam to us
"""
MAILRU = f"""Это письмо создано автоматически сервером Mail.Ru, отвечать на него не нужно.

К сожалению, Ваше письмо не может быть доставлено одному или нескольким получателям:

  {THEM}
    Ящик получателя переполнен
"""
KUNDENSERVER = f"""This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of
its recipients. The following addresses failed:

  {THEM}

SMTP error from remote server in greeting:
host: mx.receiver.example
554 Your IP has been blocked, reputation too low

--- The header of the original message is following. ---

{RETURNED}"""
DRAGONFLY = f"""This is the DragonFly Mail Agent at mx.sender.example.

There was an error delivering your mail to <{THEM}>.

mx.receiver.example [192.0.2.1] did not like our DATA:
552 message size exceeds our limit

Message headers follow.

{RETURNED}"""
OPENSMTPD = f"""    Hi!

    This is the MAILER-DAEMON, please DO NOT REPLY to this e-mail.

    An error has occurred while attempting to deliver a message for
    the following list of recipients:

{THEM}: 550 Invalid recipient

    Below is a copy of the original message:

{RETURNED}"""
MIMECAST = f"""An email that you attempted to send to the following address could not be delivered:

-- {THEM}

The problem appears to be :
-- Recipient email address is possibly incorrect
"""
KDDI = f"""送信先のメールボックスが一杯のため、送信できませんでした。

     Could not be delivered to: <{THEM}>
     As their mailbox is full.
"""
SOFTBANK = f"""次のあて先へのメッセージはエラーのため送信できませんでした。
送信先メールアドレスが存在しません。

<{THEM}>
"""
CHINESE = f"""很抱歉，您的邮件被退回。

无法发送到 {THEM}

退信原因：收件人邮箱不存在
"""
APACHE_JAMES = f"""Hi. This is the James mail server at mx.receiver.example.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up.

<{THEM}>
The virus scanner found a virus: message is infected
"""
AOL = f"""   ----- The following addresses had permanent fatal errors -----
<{THEM}>

   ----- Transcript of session follows -----
... while talking to air-xb01.mail.receiver.example.:
>>> RCPT To:<{THEM}>
<<< 550 MAILBOX NOT FOUND
550 <{THEM}>... User unknown
"""
FRENCH = f"""Votre message n'a pas pu être remis au destinataire suivant :

{THEM}

Raison : adresse inconnue
"""
GERMAN = f"""Ihre Nachricht konnte nicht zugestellt werden an:

{THEM}

Grund: Das Postfach ist voll (mailbox full).
"""


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        pytest.param(EXIM, HARD, id="exim"),
        pytest.param(QMAIL, SOFT, id="qmail"),
        pytest.param(POSTFIX, SOFT, id="postfix"),
        pytest.param(SENDMAIL, BLOCK, id="sendmail"),
        pytest.param(EXCHANGE, HARD, id="exchange 5.5"),
        pytest.param(DOMINO, HARD, id="domino"),
        pytest.param(GMAIL, SOFT, id="gmail"),
        pytest.param(YAHOO, SOFT, id="yahoo"),
        pytest.param(GROUPWISE, HARD, id="groupwise"),
        pytest.param(IMAIL, SOFT, id="imail"),
        pytest.param(MDAEMON, HARD, id="mdaemon"),
        pytest.param(COURIER, BLOCK, id="courier"),
        pytest.param(MAILRU, SOFT, id="mail.ru"),
        pytest.param(KUNDENSERVER, BLOCK, id="kundenserver"),
        pytest.param(DRAGONFLY, CONTENT, id="dragonfly"),
        pytest.param(OPENSMTPD, SOFT, id="opensmtpd"),
        pytest.param(MIMECAST, HARD, id="mimecast"),
        pytest.param(KDDI, SOFT, id="kddi"),
        pytest.param(SOFTBANK, HARD, id="softbank"),
        pytest.param(CHINESE, HARD, id="chinese"),
        pytest.param(APACHE_JAMES, CONTENT, id="james"),
        pytest.param(AOL, HARD, id="aol"),
        pytest.param(FRENCH, HARD, id="french"),
        pytest.param(GERMAN, SOFT, id="german"),
    ],
)
def test_a_bounce_in_prose_names_the_recipient_and_the_cause(text: str, verdict: Verdict) -> None:
    found = read(plain(text))

    assert found.kind is Kind.BOUNCE
    assert [(one.address, one.verdict) for one in found.recipients] == [(THEM, verdict)]


def test_the_field_of_exim_names_the_recipients() -> None:
    raw = plain(
        "It failed.", subject="Mail delivery failed", X_Failed_Recipients="a@receiver.example, b@receiver.example"
    )

    assert [one.address for one in read(raw).recipients] == ["a@receiver.example", "b@receiver.example"]


def test_each_of_several_recipients_has_the_cause_beside_it() -> None:
    text = """Unable to deliver message to the following address(es).

<a@receiver.example>:
Sorry, this account is over quota.

<b@receiver.example>:
550 5.1.1 user unknown
"""

    found = read(plain(text))

    assert [(one.address, one.verdict) for one in found.recipients] == [
        ("a@receiver.example", SOFT),
        ("b@receiver.example", HARD),
    ]


def test_an_address_in_x400_is_read_where_a_gateway_wrote_one() -> None:
    text = f"""Your message

  To:      some-list@receiver.example

did not reach the following recipient(s):

c=US;a= ;p=EX;o=MX;dda:SMTP={THEM}; on Mon, 2 Mar 2026 09:00:05 -0000
    The recipient name is not recognized
"""

    assert [one.address for one in read(plain(text)).recipients] == [THEM]


def test_whoever_is_to_be_asked_for_help_did_not_fail() -> None:
    text = f"""Your message could not be delivered. For help contact <help@receiver.example>
or write to postmaster@receiver.example.

<{THEM}>: user unknown
"""

    assert [one.address for one in read(plain(text)).recipients] == [THEM]


def test_the_sender_of_the_returned_mail_did_not_fail() -> None:
    text = f"MAIL FROM:<{US}>\nYour message could not be delivered.\n\n{RETURNED}"

    assert [one.address for one in read(plain(text)).recipients] == [THEM]


def test_the_recipients_of_the_returned_mail_stand_in_for_those_of_a_bounce_that_names_none() -> None:
    found = read(multipart(("text/plain", "Your message could not be delivered."), ("message/rfc822", RETURNED)))

    assert [one.address for one in found.recipients] == [THEM]
    assert found.original_message_id == "<0198c5f2@sender.example>"


@pytest.mark.parametrize(
    "text",
    [
        f"Warning: message still undelivered after 4 hours. You do not need to resend.\n\n<{THEM}>: connection refused",
        f"The delivery of your message to {THEM} has been delayed. Delivery attempts will continue to be made.",
        f"The address to which it has not yet been delivered is:\n\n  {THEM}\n\nDelivery attempts will continue."
        " Eventually the software will give up, and then the message will be returned to you.",
        f"A message has not yet been delivered to {THEM}. No action is required on your part. I will keep trying.",
        f"Ihre Nachricht an {THEM} konnte noch nicht zugestellt werden. Es wird weiter versucht.",
    ],
)
def test_what_is_still_tried_is_delayed(text: str) -> None:
    found = read(plain(text, subject="Warning: delivery delayed"))

    assert found.kind is Kind.DELAY
    assert [(one.address, one.verdict) for one in found.recipients] == [(THEM, Verdict.DELAYED)]


def test_a_bounce_in_html_alone_is_read() -> None:
    html = f"<html><p>Delivery has failed to these recipients:</p><p>{THEM}<br>The mailbox is full.</p></html>"

    (recipient,) = read(multipart(("text/html", html), subject="Undeliverable: March")).recipients

    assert (recipient.address, recipient.verdict) == (THEM, SOFT)


@pytest.mark.parametrize("charset", ["iso-2022-jp", "euc_jp"])
def test_japanese_is_read_whatever_a_relay_made_of_it(charset: str) -> None:
    head = b"From: Postmaster@receiver.example\nTo: news@sender.example\nSubject: Mail System Error - Returned Mail\n"
    head += b'Content-Type: text/plain; charset="iso-2022-jp"\n\n'

    (recipient,) = read(head + SOFTBANK.encode(charset)).recipients

    assert recipient.verdict is HARD
