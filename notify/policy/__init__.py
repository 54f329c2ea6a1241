"""Pure decisions: may we, when, and when again. Everything they need comes in as an argument."""

from notify.policy.fate import decide
from notify.policy.retry import MISCONFIGURED_WAIT, UNREACHED_WAIT, RetryPolicy, next_round, next_try

__all__ = ["MISCONFIGURED_WAIT", "UNREACHED_WAIT", "RetryPolicy", "decide", "next_round", "next_try"]
