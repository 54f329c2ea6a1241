"""Inert data: what a word of docs/glossary.md holds. Frozen, no I/O, no way back to the app."""

from notify.model.alert import Alert, AlertState, Notice, Severity, Told, Word
from notify.model.batch import Batch, BatchState
from notify.model.decision import Decision, Defer, Send, Skip
from notify.model.failure import DeadLetter, Death, ErrorClass, Filter, KeptMail, Pause, Replay, ReplayState
from notify.model.fan_out import FanOut, FanOutState
from notify.model.kind import Channel, Kind, Lane, OnDoubt, Retry
from notify.model.message import TRANSITIONS, Attempt, Message, MessageState, Outcome
from notify.model.notification import Attachment, Mode, Notification
from notify.model.recipient import Address, Recipient, Suppression

__all__ = [
    "TRANSITIONS",
    "Address",
    "Alert",
    "AlertState",
    "Attachment",
    "Attempt",
    "Batch",
    "BatchState",
    "Channel",
    "DeadLetter",
    "Death",
    "Decision",
    "Defer",
    "ErrorClass",
    "FanOut",
    "FanOutState",
    "Filter",
    "KeptMail",
    "Kind",
    "Lane",
    "Message",
    "MessageState",
    "Mode",
    "Notice",
    "Notification",
    "OnDoubt",
    "Outcome",
    "Pause",
    "Recipient",
    "Replay",
    "ReplayState",
    "Retry",
    "Send",
    "Severity",
    "Skip",
    "Suppression",
    "Told",
    "Word",
]
