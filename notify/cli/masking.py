"""Secrets as they may be shown: a URL keeps its scheme and host, anything else is `***`."""

from __future__ import annotations

import re

from pydantic import SecretStr

from notify.settings import redact


def shown_secret(value: SecretStr) -> str:
    """`***`, or the harmless parts of a URL; empty when there is nothing to hide."""
    text = value.get_secret_value()
    if "://" not in text:
        return "***" if text else ""
    return re.sub(r"(?i)^(https?://[^/?]+)[/?].+", r"\1/***", redact(text))  # a hook's path is its key
