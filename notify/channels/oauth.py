"""Access tokens of OAuth 2.0 (RFC 6749), asked for where the operator says: no error repeats a secret or an answer."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from notify.channels.http import Answer, Api, readable, refusal, without_consequences
from notify.errors import DeliveryError, Misconfigured, Throttled, Transient

CODES = frozenset(
    {
        *("invalid_request", "invalid_client", "invalid_grant"),
        *("unauthorized_client", "unsupported_grant_type", "invalid_scope"),
    }
)
"""Why a token is refused: RFC 6749 §5.2."""
_MICROSOFT = re.compile(r"AADSTS[0-9]{3,8}")
_OK = 200


@dataclass(frozen=True, slots=True)
class Granted:
    """An access token that is good for so many `seconds`, as far as is said; and what to renew it with from now on."""

    access_token: str = field(repr=False)
    seconds: float | None = None
    refresh_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TokenUrl:
    """Where tokens are given (RFC 6749 §3.2), and to whom. `timeout` and `connect_timeout` are seconds for a step."""

    url: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    scope: str = ""
    timeout: float = 30.0
    connect_timeout: float = 10.0

    def grant(self, refresh_token: str | None = None) -> Granted:
        """A token for a refresh token (§6), or without one for the client itself (§4.4).

        Raises `Misconfigured` when it is refused, with the reason that was given, and `Transient` or `Throttled` when
        it may be asked for again.
        """
        form = {"client_id": self.client_id}
        if refresh_token is None:
            form["grant_type"] = "client_credentials"
        else:
            form |= {"grant_type": "refresh_token", "refresh_token": refresh_token}
        form |= {name: said for name, said in (("client_secret", self.client_secret), ("scope", self.scope)) if said}
        api = Api(self.url, "", timeout=self.timeout, connect_timeout=self.connect_timeout, connections=1)
        try:
            return _granted(api.post("", data=form))
        except (Misconfigured, Throttled):
            raise
        except DeliveryError as error:
            raise Transient(error.reason) from None  # nothing is in doubt: one token more does no harm
        finally:
            api.close()


def _granted(answer: Answer) -> Granted:
    facts = answer.facts
    if answer.status != _OK:
        raise _refused(answer, facts.get("error"))
    token, renewed = facts.get("access_token"), facts.get("refresh_token")
    if not isinstance(token, str) or not readable(token):
        raise Misconfigured("no_access_token", str(answer.status))
    renews = isinstance(renewed, str) and readable(renewed)  # else the one before may still be good
    return Granted(token, _seconds(facts.get("expires_in")), renewed if renews else None)


def _refused(answer: Answer, code: object) -> DeliveryError:
    """Of the answer only codes are told: its words may hold what was sent."""
    if isinstance(code, str) and code in CODES:
        numbers = dict.fromkeys(_MICROSOFT.findall(answer.text))
        return Misconfigured(code, " ".join(numbers))
    error = without_consequences(refusal(answer))
    if isinstance(error, Throttled):
        return Throttled(error.reason, str(answer.status), retry_after=error.retry_after)
    if isinstance(error, Transient):
        return Transient(error.reason, str(answer.status))
    return Misconfigured(error.reason if isinstance(error, Misconfigured) else "token_refused", str(answer.status))


def _seconds(said: object) -> float | None:
    """RFC 6749 §5.1 has a number; some say it as text."""
    try:
        seconds = float(said) if isinstance(said, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return seconds if 0 < seconds < math.inf else None
