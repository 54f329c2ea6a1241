"""Secrets as they may be shown: a URL keeps its scheme and host, anything else is `***`."""

from __future__ import annotations

import re

from pydantic import SecretStr

from notify.settings import redact

_SECRET_OPTION = re.compile(r"([?&][^=&]*(?:pass|pwd|secret|token|key)[^=&]*=)[^&]*", re.IGNORECASE)


def shown_url(url: str) -> str:
    """A URL without its credentials, be they before the host or among its options."""
    return _SECRET_OPTION.sub(r"\1***", redact(url))


def shown_secret(value: SecretStr) -> str:
    """`***`, or the harmless parts of a URL; empty when there is nothing to hide."""
    text = value.get_secret_value()
    return shown_url(text) if "://" in text else "***" if text else ""
