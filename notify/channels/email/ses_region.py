"""Amazon SES in one region: whatever is asked, there is an answer or one of the five delivery errors."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any

from notify.channels.email.ses_errors import failure, without_consequences
from notify.errors import DeliveryError, Misconfigured, Throttled, Transient, Uncertain

HEARD_SECONDS = 60.0  # who answered so lately is there
QUOTA_SECONDS = 180.0  # GetAccount may be asked once a second, by all of an account's clients
SKIP_SECONDS = 60.0  # a region that failed comes last for so long
SHUT_OUT = frozenset({"credentials_missing", "credentials_refused", "credentials_expired", "clock_wrong"})
"""Reasons for which no message can pass, whatever is asked."""


class Region:
    """SES in one region of AWS: its client, its quota, and how long it is to be tried last."""

    def __init__(
        self,
        name: str,
        connect: Callable[[str], Any],
        *,
        secret: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._secret = secret
        self.heard = -math.inf  # when it last answered
        self.last_until = -math.inf
        self._connect = connect
        self._clock = clock
        self._lock = threading.Lock()
        self._client: Any = None
        self._account: tuple[float, dict[str, Any]] | None = None

    def send(self, request: dict[str, Any], recipient: str) -> str:
        """SendEmail; returns SES's name for the message. Raises a `DeliveryError`."""
        try:
            answer = self._ask("send_email", recipient, **request)
        except DeliveryError as error:
            self._step_back(error)
            raise
        self.last_until = -math.inf
        if "MessageId" not in answer:
            raise Uncertain("answer_unintelligible", f"{self.name}: an answer without MessageId")
        return str(answer["MessageId"])

    def account(self, *, fresh: bool = False) -> dict[str, Any]:
        """GetAccount, not older than some minutes. Raises a `DeliveryError`, never `Uncertain`."""
        known = self._account
        if fresh or known is None or self._clock() - known[0] >= QUOTA_SECONDS:
            try:
                known = self._account = self._clock(), self._ask("get_account", "")
            except Uncertain as error:
                raise without_consequences(error) from None
        return known[1]

    def reach(self) -> None:
        """Returns when it answered not long ago, or does now, whatever it says. Raises `Transient`, `Misconfigured`."""
        if self._clock() - self.heard < HEARD_SECONDS:
            return
        try:
            self.account(fresh=True)
        except DeliveryError as error:
            if error.line_lost or error.reason in SHUT_OUT:
                self._step_back(error)
                raise

    def close(self) -> None:
        """Close the connections that are kept; a later request opens others."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _ask(self, operation: str, recipient: str, **request: Any) -> dict[str, Any]:
        client = None
        try:
            with self._lock:
                if self._client is None:
                    self._client = self._connect(self.name)
                client = self._client
            answer: dict[str, Any] = getattr(client, operation)(**request)
        except Exception as caught:
            error = failure(caught, recipient=recipient, place=self.name, secret=self._secret)
        else:
            self.heard = self._clock()
            return answer
        # Raised here, where boto3's own is gone: it repeats what was sent, and keeps its connection open.
        if error.reason in SHUT_OUT:
            self.close()  # requests under way go on; the next client may find other credentials
        if not error.line_lost:
            self.heard = self._clock()
        raise without_consequences(error) if client is None else error

    def _step_back(self, error: DeliveryError) -> None:
        """Be tried last for a while, where the error is this region's."""
        if isinstance(error, Throttled):
            self.last_until = self._clock() + (error.retry_after or 0.0)
        elif isinstance(error, Transient | Misconfigured):
            self.last_until = self._clock() + SKIP_SECONDS
