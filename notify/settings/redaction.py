"""URLs as they may be shown."""

from __future__ import annotations

import re

_KEY = re.compile(r"(?i)\b(postmark|resend|sendgrid)://[^\s?,\"']+")
"""Of a provider without a host of its own the key stands where others have theirs."""

_SINK = re.compile(r"(?i)\bpagerduty://[^\s@/?,\"']+|(?:\bslack://[^\s/]+|https://hooks\.slack[\w.-]+)/[^\s\"',]+")
"""Where a URL of an alert sink is a credential: PagerDuty's key, and what follows Slack's host."""


def redact(url: str) -> str:
    """The URL with its password masked, and with anything that is all credential; also among the options."""
    url = _KEY.sub(r"\1://***", url)
    url = _SINK.sub(_masked, url)
    without = re.sub(r"(?<=://)([^:/@\s]*:)?[^\s?]*@", lambda match: f"{match[1] or ''}***@", url)
    return re.sub(r"(?i)([?&][^=&\s]*(?:pass|pwd|secret|token|key)[^=&\s]*=)[^&\s]+", r"\1***", without)


def _masked(found: re.Match[str]) -> str:
    scheme, _, rest = found[0].partition("://")
    return f"{scheme}://***" if scheme.lower() == "pagerduty" else f"{scheme}://{rest.partition('/')[0]}/***"
