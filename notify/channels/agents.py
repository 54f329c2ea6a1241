"""Whether it was a machine that opened or clicked, by the name it gives itself; people are never told apart by it."""

from __future__ import annotations

import re
from functools import lru_cache

_MACHINE = re.compile(
    r"googleimageproxy|yahoomailproxy|applemailproxy|via ggpht|"  # they fetch for everybody, whether it is read or not
    r"bot\b|crawl|spider|slurp|preview|scanner|prefetch|"
    r"barracuda|proofpoint|mimecast|fireeye|trendmicro|symantec|sophos|cloudmark|forcepoint|ironport|safelinks|"
    r"headlesschrome|phantomjs|python-|curl/|wget/|go-http-client|okhttp|java/|libwww|axios/|node-fetch",
    re.IGNORECASE,
)
_APPLE_PRIVACY = "Mozilla/5.0"  # all that Mail Privacy Protection says: it fetches every image at once


@lru_cache(maxsize=1024)  # most people's programs have one of a few names
def is_machine(user_agent: str | None) -> bool:
    """Whether a proxy, scanner or program fetched it. Nothing is known of who gives no name: False."""
    if not user_agent:
        return False
    return user_agent.strip() == _APPLE_PRIVACY or _MACHINE.search(user_agent) is not None
