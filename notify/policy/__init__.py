"""Pure decisions: may we, when, and when again. Everything they need comes in as an argument."""

from notify.policy.fate import decide, due_at, gone, meant_for
from notify.policy.retry import MISCONFIGURED_WAIT, UNREACHED_WAIT, RetryPolicy, next_round, next_try
from notify.policy.rules import NO_RULES, Rules
from notify.policy.trail import Looked, Trail, trail
from notify.policy.verdict import EXPIRED, Verdict, after_failure, expired, past, put_off

__all__ = [
    "EXPIRED",
    "MISCONFIGURED_WAIT",
    "NO_RULES",
    "UNREACHED_WAIT",
    "Looked",
    "RetryPolicy",
    "Rules",
    "Trail",
    "Verdict",
    "after_failure",
    "decide",
    "due_at",
    "expired",
    "gone",
    "meant_for",
    "next_round",
    "next_try",
    "past",
    "put_off",
    "trail",
]
