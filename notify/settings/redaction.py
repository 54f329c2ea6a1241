"""URLs as they may be shown."""

from __future__ import annotations

import re

_KEY = re.compile(r"(?i)\b(postmark|resend|sendgrid)://[^\s?,\"']+")
"""Of a provider without a host of its own the key stands where others have theirs."""


def redact(url: str) -> str:
    """The URL with its password masked, and with anything that is all credential; also among the options."""
    url = _KEY.sub(r"\1://***", url)
    without = re.sub(r"(?<=://)([^:/@\s]*:)?[^\s?]*@", lambda match: f"{match[1] or ''}***@", url)
    return re.sub(r"(?i)([?&][^=&\s]*(?:pass|pwd|secret|token|key)[^=&\s]*=)[^&\s]+", r"\1***", without)
