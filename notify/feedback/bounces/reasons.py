"""The rules by which a refusal becomes a verdict: what servers say, and the codes they say it with."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from notify.feedback.bounces.report import Verdict

HARD, SOFT, BLOCK, CONTENT = Verdict.HARD, Verdict.SOFT, Verdict.BLOCK, Verdict.CONTENT


@dataclass(frozen=True, slots=True)
class Reason:
    """One cause, the verdict it means, and the phrases that give it away.

    A `vague` one gives way to a precise status code; the others are only weighed against a temporary one. A `doubtful`
    one is given where something else is meant as well.
    """

    name: str
    verdict: Verdict
    phrases: tuple[str, ...]
    vague: bool = False
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """What an enhanced status code means. A `vague` one gives way to any text, a `sure` one to none."""

    verdict: Verdict
    vague: bool = False
    sure: bool = False


REASONS: tuple[Reason, ...] = tuple(
    Reason(
        one["name"],
        Verdict(one["verdict"]),
        tuple(one["phrases"].strip().splitlines()),
        one.get("vague", False),
        one.get("doubtful", False),
    )
    for one in tomllib.loads((Path(__file__).parent / "reasons.toml").read_text(encoding="utf-8"))["reason"]
)
"""The reasons of `reasons.toml`, in its order."""

CODES: dict[str, Code] = {
    # RFC 3463 §3.2, addressing
    "1.0": Code(HARD, vague=True),
    "1.1": Code(HARD),
    "1.2": Code(HARD),
    "1.3": Code(HARD),
    "1.4": Code(HARD),
    "1.5": Code(SOFT, vague=True),
    "1.6": Code(HARD),
    "1.7": Code(BLOCK, sure=True),  # the sender's address, whatever the words make of it
    "1.8": Code(BLOCK, sure=True),
    "1.9": Code(SOFT, vague=True),  # RFC 3886 §3.3.5: the message was relayed to a non-compliant mailer
    "1.10": Code(HARD),  # RFC 7505 §4.2, and Exchange Online: no such recipient
    # RFC 3463 §3.3, mailbox
    "2.0": Code(SOFT, vague=True),
    "2.1": Code(SOFT),  # disabled; nobody says for how long
    "2.2": Code(SOFT),
    "2.3": Code(CONTENT),
    "2.4": Code(SOFT, vague=True),
    # RFC 3463 §3.4, the receiving system
    "3.0": Code(SOFT, vague=True),
    "3.1": Code(SOFT),
    "3.2": Code(SOFT, vague=True),
    "3.3": Code(SOFT, vague=True),
    "3.4": Code(CONTENT),
    "3.5": Code(SOFT, vague=True),
    # RFC 3463 §3.5, network and routing
    "4.0": Code(SOFT, vague=True),
    "4.1": Code(SOFT, vague=True),
    "4.2": Code(SOFT, vague=True),
    "4.3": Code(SOFT, vague=True),
    "4.4": Code(HARD, vague=True),  # unable to route: Postfix says it of a host that is not found
    "4.5": Code(SOFT, vague=True),
    "4.6": Code(SOFT, vague=True),
    "4.7": Code(SOFT),
    # RFC 3463 §3.6, the protocol
    "5.0": Code(SOFT, vague=True),
    "5.1": Code(SOFT, vague=True),
    "5.2": Code(SOFT, vague=True),
    "5.3": Code(BLOCK, vague=True),
    "5.4": Code(SOFT, vague=True),
    "5.5": Code(SOFT, vague=True),
    # RFC 3463 §3.7, the content
    "6.0": Code(CONTENT, vague=True),
    "6.1": Code(CONTENT),
    "6.2": Code(CONTENT),
    "6.3": Code(CONTENT),
    "6.4": Code(CONTENT),
    "6.5": Code(CONTENT),
    "6.6": Code(CONTENT),
    "6.7": Code(CONTENT),  # RFC 6531 §3.7.4.2
    # RFC 3463 §3.8, security and policy
    "7.0": Code(BLOCK, vague=True),
    "7.1": Code(BLOCK, vague=True),
    "7.9": Code(BLOCK),  # RFC 4954 §6
    "7.17": Code(HARD),  # RFC 7293 §4: the mailbox changed hands
    "7.18": Code(HARD),
    "7.26": Code(BLOCK),  # RFC 7372 §3.3
}
"""What the last two numbers of an enhanced status code mean; the first tells for good (5) or for now (4)."""

POLICY = Code(BLOCK)  # the rest of X.7.*
