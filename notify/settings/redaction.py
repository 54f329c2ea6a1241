"""URLs as they may be shown."""

from __future__ import annotations

import re


def redact(url: str) -> str:
    """The URL with its password masked, and with anything that is all credential; also among the options."""
    without = re.sub(r"(?<=://)([^:/@\s]*:)?[^\s?]*@", lambda match: f"{match[1] or ''}***@", url)
    return re.sub(r"(?i)([?&][^=&\s]*(?:pass|pwd|secret|token|key)[^=&\s]*=)[^&\s]+", r"\1***", without)
