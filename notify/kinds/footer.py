"""What every mail that is not transactional says at its end: who sends it, where they are, and how to leave.

CAN-SPAM Act, 15 U.S.C. §7704(a)(3) and (5); its rule, 16 CFR 316.2, says what is transactional.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from notify.kinds.email import Rendered
from notify.model import Kind

SAMPLE: Mapping[str, Any] = {
    "sender": {"organisation": "Example Organisation", "postal_address": "1 Example Street, Exampletown"},
    "unsubscribe_url": "https://example.org/unsubscribe/sample",
    "preferences_url": "https://example.org/preferences/sample",
}
_NEEDED = {
    "{{ sender.postal_address }}": SAMPLE["sender"]["postal_address"],
    "{{ unsubscribe_url }}": SAMPLE["unsubscribe_url"],
}


def undeclared(kind: Kind) -> Iterator[str]:
    """One line for each thing in kind.toml by which a kind that is not transactional could not be left."""
    if kind.transactional:
        return
    if kind.required:
        yield (
            "nobody can leave what is required, and it is not transactional; write transactional = true in kind.toml "
            "if it is about what the recipient has with you, or give up required, here and in categories.toml"
        )
    elif not kind.unsubscribe:
        yield (
            "it is not transactional and has no link to leave it; write unsubscribe = true in kind.toml, or "
            "transactional = true if the mail answers something that the recipient did"
        )


def complaints(mail: Rendered) -> Iterator[str]:
    """One line for each part that lacks what a mail that is not transactional must print; rendered with SAMPLE."""
    for part, text in (("HTML", mail.html), ("text part", mail.text)):
        words = " ".join(text.split())
        lacking = [name for name, sample in _NEEDED.items() if sample not in words]
        if lacking:
            yield (
                f"the {part} lacks {' and '.join(lacking)}; print it (base.mjml does), or write transactional = true "
                "in kind.toml if the mail answers something that the recipient did"
            )
