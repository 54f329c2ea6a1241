"""What a refusal is about: one rule for each reason, found by enhanced status and text, the surest first.

Servers agree on the statuses of RFC 3463 only in part: `5.7.1` is a blocked host, a refused sender, a closed relay or
spam, and `5.4.1` of Exchange Online an unknown mailbox. So a status that everybody means alike is believed first, then
what the text says, then a status that is only likely. What the texts of large receivers look like stands in the tests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import chain
from types import MappingProxyType

DAY_LONG_WAIT = 900.0
"""Seconds to wait when a quota of hours or a day is used up: it comes back bit by bit."""


class About(Enum):
    """Whose trouble a refusal is; with the class of the reply it decides what becomes of the message."""

    ADDRESS = auto()  # 5xx: the address is dead
    MESSAGE = auto()  # 5xx: this message will never be taken, though another may
    PASSING = auto()  # of this mailbox, and it passes, whatever the code says
    PACE = auto()  # we are too quick
    PROVIDER = auto()  # it does not want us, or cannot: another provider may carry the message
    SENDER = auto()  # like PROVIDER; at MAIL, where nobody else was named, an operator must see to it
    OPERATOR = auto()  # 5xx: nothing can pass until an operator mends it


class Part(Enum):
    """What of the conversation was refused: the same words mean another thing at another part."""

    GREETING = auto()  # and what follows it, before anybody is named
    SENDER = auto()
    RECIPIENT = auto()
    CONTENT = auto()


@dataclass(frozen=True, slots=True)
class Rule:
    """A machine-readable reason; `wait` is in seconds, for where the server names none."""

    reason: str
    about: About
    wait: float | None = None


def _rules(*rules: tuple[str, Rule]) -> Mapping[str, Rule]:
    return MappingProxyType({status: rule for statuses, rule in rules for status in statuses.split()})


UNKNOWN = Rule("mailbox_unknown", About.ADDRESS)
DISABLED = Rule("mailbox_disabled", About.ADDRESS)
NO_DOMAIN = Rule("domain_unknown", About.ADDRESS)
NO_MAIL = Rule("domain_accepts_no_mail", About.ADDRESS)
MOVED = Rule("mailbox_moved", About.ADDRESS)
FULL = Rule("mailbox_full", About.MESSAGE)
BUSY = Rule("mailbox_busy", About.PASSING, 300.0)
CLOSED_GROUP = Rule("recipient_restricted", About.MESSAGE)
TOO_LARGE = Rule("too_large", About.MESSAGE)
LOOP = Rule("routing_loop", About.MESSAGE)
CONTENT = Rule("content_refused", About.MESSAGE)
BLOCKED = Rule("blocked", About.MESSAGE)
GREYLISTED = Rule("greylisted", About.PASSING, 300.0)
RATE = Rule("rate_limited", About.PACE, 60.0)
QUOTA = Rule("quota_used_up", About.PACE, DAY_LONG_WAIT)
HOST = Rule("host_blocked", About.PROVIDER)
RELAY = Rule("relay_denied", About.PROVIDER)
UNPROVEN = Rule("sender_unauthenticated", About.PROVIDER)
SENDER = Rule("sender_refused", About.SENDER)
NOT_OURS = Rule("sender_refused", About.OPERATOR)
SUSPENDED = Rule("account_suspended", About.OPERATOR)
STRANGER = Rule("authentication_required", About.OPERATOR)
AWAY = Rule("system_unavailable", About.PROVIDER)

SURE = _rules(
    ("1.1", UNKNOWN),
    ("1.2", NO_DOMAIN),
    ("1.3", Rule("address_invalid", About.ADDRESS)),
    ("1.6", MOVED),
    ("1.7 1.8", SENDER),
    ("2.2", FULL),
    ("2.3 3.4", TOO_LARGE),
    ("4.310 4.312", NO_DOMAIN),  # Exchange Online: the domain does not exist
    ("4.6 4.14", LOOP),  # 4.14 is Exchange Online's
    ("7.8 7.9 7.57", STRANGER),  # RFC 4954 §6; 7.57 is Exchange Online's
    ("7.60", NOT_OURS),  # Exchange Online: may not send as this sender
    ("7.25", HOST),  # RFC 7372 §3.3: no reverse name
    ("7.20 7.21 7.22 7.23 7.24 7.26 7.30", UNPROVEN),  # RFC 7372 §3; 7.30 is Gmail's
    ("7.28 7.29", RATE),  # Gmail; Exchange Online
)
"""By subject and detail (RFC 3463 §3): servers that give these mean this."""

LIKELY = _rules(
    ("1.10", NO_MAIL),  # RFC 7505 §4.2
    ("2.1", DISABLED),
    ("3.1 3.2", AWAY),
    ("4.1", UNKNOWN),  # Exchange Online tells so of a mailbox that is not in its directory
    ("4.4", NO_DOMAIN),
    ("4.5", RATE),
    ("5.3", RATE),  # too many recipients: ours has one, so it counts those of other mails
    ("7.14", STRANGER),  # Gmail: log in with a browser first
)
"""The same, where the text says nothing better."""

_ABOUT_CONTENT = ("6.",)
_ABOUT_POLICY = ("7.",)
_ABOUT_THE_MAILBOX = ("1.", "2.")
_NEVER_THE_ADDRESS = ("3.", "5.1", "5.2", "5.3", "5.4", "5.5", "6.", "7.")
"""Systems, protocol, content and policy (5.0 is left out: Outlook.com says so of unknown mailboxes)."""


_PIECES = r"(?:\w+ )?(?:mime|parts|multiparts|attachments|links|urls|headers|nested|lines)\b"


def _says(*forms: str) -> re.Pattern[str]:
    return re.compile("|".join(forms), re.IGNORECASE)


TEXTS: tuple[tuple[re.Pattern[str], Rule], ...] = (
    (
        _says(
            r"RESOLVER\.RST",
            r"not (?:allowed|permitted|authori[sz]ed) to (?:send|post) (?:\w+ )?to\b",
            r"\b(?:only accepts?|accepts? only|accepts? (?:e?mail|messages?) only)\b.{0,20}\bfrom\b",
        ),
        CLOSED_GROUP,
    ),
    (_says(r"gr[ae]y ?-?list", r"postgrey"), GREYLISTED),
    (_says(r"receiving mail (?:too quickly|at a rate)", r"mailbox (?:is )?(?:busy|locked|in use)"), BUSY),
    (_says(r"too many messages in (?:the |this )?mailbox", r"QuotaExceededException"), FULL),
    (
        _says(
            r"\bdaily\b.{0,30}\b(?:quota|limit)",
            r"\b(?:per|an?) (?:hour|day)\b",
            r"\bhourly\b",
            r"\bsending (?:quota|limits?)\b",
            r"24[- ]hour",
        ),
        QUOTA,
    ),
    (
        _says(
            r"rate[ -]?limit",
            r"throttl",
            r"\btoo many (?!errors|hops|invalid|unknown|received)"
            rf"(?!{_PIECES})",
            r"\btoo (?:fast|much mail|frequent)",
            r"unusual rate",
            r"sending rate|message rate",
            r"temporarily deferred|unexpected volume|\[TSS?\d+\]",
            r"\b(?:connections?|thread|messages?|recipients?) (?:rate )?limit",
            r"server (?:is )?(?:too )?busy",
            r"slow down",
        ),
        RATE,
    ),
    (
        _says(
            r"\bmay not send as\b|permissions? to send as|SendAsDenied",
            r"not owned by user",
            r"not (?:allowed|permitted|authori[sz]ed) to (?:send (?:mail )?(?:as|from)|use (?:this|the) sender)",
            r"from address\b.{0,60}\bverified",
            r"email address is not verified",
            r"sender (?:address |identity )?(?:is )?not (?:yet )?(?:verified|confirmed)",
            r"not a sender signature",
        ),
        NOT_OURS,
    ),
    (_says(r"\byour\b.{0,30}\baccount\b.{0,40}\b(?:suspended|disabled|locked|blocked)"), SUSPENDED),
    (
        _says(
            r"authentication (?:is )?required",
            r"must (?:be authenticated|authenticate|log ?in|issue a STARTTLS)",
            r"not authenticated",
            r"need to authenticate",
        ),
        STRANGER,
    ),
    (
        _says(
            r"\brelay(?:ing)?\b.{0,30}(?:denied|not (?:permitted|allowed)|prohibited|refused)",
            r"unable to relay|(?:do|does|will) not relay|not (?:permitted|allowed) to relay",
            r"rcpthosts",
        ),
        RELAY,
    ),
    (_says(r"\b(?:SPF|DKIM|DMARC)\b", r"is unauthenticated"), UNPROVEN),
    (_says(r"SURBL|URIBL|\bURLs?\b", r"likely (?:unsolicited|suspicious)", rf"\btoo many {_PIECES}"), CONTENT),
    (
        _says(
            r"spamhaus|spamcop|\bsorbs\b|barracuda|abuseat|\bDNS?BL\b|\bRBL\b",
            r"\b(?:client|sending|your|the|this) (?:host|IP|server|network)\b.{0,80}"
            r"\b(?:block|bann|black|listed|denied|reject|not authori[sz]ed)",
            r"banned sending IP|(?:block|black|deny)[ -]?list\b",
            r"\breputation\b",
            r"reverse (?:DNS|hostname|lookup|name)|PTR record",
            r"cannot find your (?:host|reverse)",
        ),
        HOST,
    ),
    (
        _says(
            r"\bsender\b.{0,40}(?:reject|invalid|unknown|not exist|fail|denied|refused|not found)",
            r"domain of sender",
            r"badmailfrom",
        ),
        SENDER,
    ),
    (
        _says(
            r"over ?quota|quota (?:is |has been )?exceeded|exceed\w* (?:\w+ ){0,3}quota|out of storage",
            r"mailbox (?:is )?full|full mailbox|storage allocation|insufficient (?:mailbox )?storage",
        ),
        FULL,
    ),
    (
        _says(
            r"\b(?:message|mail|size)\b.{0,40}(?:too (?:big|large)|exceed)",
            r"exceed\w* (?:\w+ ){0,3}size",
            r"size limit",
            r"^too (?:big|large)",
        ),
        TOO_LARGE,
    ),
    (_says(r"\bhop count|too many (?:hops|received)|mail loop|loops back"), LOOP),
    (
        _says(
            r"\b(?:mailbox|account|user|recipient)\b.{0,40}\b(?:disabled|inactive|suspended|deactivated|closed|expired)",
            r"no longer (?:active|in use|available|valid|accept)",
        ),
        DISABLED,
    ),
    (
        _says(
            r"\b(?:user|mailbox|recipient|account|addressee)\b.{0,60}(?:unknown|not found|n[o']t exist|invalid)",
            r"\baddress\b.{0,40}(?:unknown|not found|n[o']t exist)",
            r"\b(?:unknown|no such|invalid) (?:local )?(?:user|mailbox|recipient|account|address|person)",
            r"no mailbox (?:here )?by that name",
            r"doesn't have an? .{0,40}account",
            r"no such .{0,20}here|unrouteable address|RecipientNotFound",
            r"recipient address rejected: access denied",  # Exchange Online, of what its directory does not hold
        ),
        UNKNOWN,
    ),
    (_says(r"mailbox (?:is )?(?:not available|unavailable)"), Rule("mailbox_unavailable", About.ADDRESS)),
    (_says(r"\bno such domain|\bdomain\b.{0,20}(?:not found|n[o']t exist)|unknown (?:host|domain)"), NO_DOMAIN),
    (_says(r"\bspam|unsolicited|virus|malware|phish|\bjunk\b|suspicious|\bcontent\b|attachment"), CONTENT),
)
"""The first that is found in the text, addresses taken out of it."""

_BLOCKING = _says(r"block|\bbann|\bpolicy\b|prohibit|access denied|not allowed|not permitted")
_SUSPENDED = _says(r"\baccount (?:is |has been )?suspended")
_HASTE = r"\brate\b|throttl|\btoo (?:fast|frequent)|slow down|\bsending (?:quota|limit)|\bconnections?\b"
_PACE = _says(_HASTE, r"\b(?:second|minute|hour|day)s?\b|\b(?:hour|dai)ly\b")
_TRY_AGAIN = re.compile(r"(?:try|come) (?:\w+ )?(?:again|back|later)|retry", re.IGNORECASE)
_ADDRESS = re.compile(r"<[^<>\s]*>|\S+@\S+")


def rule_for(status: str, text: str, part: Part, *, permanent: bool) -> Rule | None:
    """The rule that this refusal falls under.

    `status` is subject and detail (`7.1`), empty where the server gave none; `text` is what else it said.
    """
    if status in SURE:
        return SURE[status]
    words = _ADDRESS.sub(" ", text)  # an address holds whatever words its owner likes
    if part is Part.SENDER and _SUSPENDED.search(words):
        return SUSPENDED
    said = (rule for form, rule in TEXTS if form.search(words))
    for rule in chain(said, filter(None, [LIKELY.get(status)])):
        if _can_be(rule, status, words, part, permanent=permanent):
            return _at(part, status, rule)
    if not permanent:
        return GREYLISTED if status == "7.1" and _TRY_AGAIN.search(words) else None
    if status.startswith(_ABOUT_CONTENT):
        return CONTENT
    return BLOCKED if status.startswith(_ABOUT_POLICY) or _BLOCKING.search(words) else None


def _can_be(rule: Rule, status: str, words: str, part: Part, *, permanent: bool) -> bool:
    """Whether status and part allow what the text seems to say."""
    if rule.about is About.ADDRESS:
        return not status.startswith(_NEVER_THE_ADDRESS)
    if rule.about is About.PACE:
        doubted = permanent and part is Part.CONTENT and status != "4.5" and not _PACE.search(words)
        return not doubted and not status.startswith(_ABOUT_CONTENT)
    return not (rule in (SUSPENDED, STRANGER) and status.startswith(_ABOUT_THE_MAILBOX))


def _at(part: Part, status: str, rule: Rule) -> Rule:
    """The rule as it holds there: one recipient's trouble neither holds up the provider nor pauses it."""
    if part is Part.RECIPIENT and rule.about is About.PACE and status.startswith(_ABOUT_THE_MAILBOX):
        return BUSY
    if part is Part.RECIPIENT and rule.about is About.OPERATOR:
        return replace(rule, about=About.PROVIDER)
    return rule
