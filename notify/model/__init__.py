"""Inert data: what a word of docs/glossary.md holds. Frozen, no I/O, no way back to the app."""

from notify.model.alert import Alert, AlertState, Notice, Severity, Told, Word
from notify.model.batch import Batch, BatchState
from notify.model.consent import Consent, ConsentAction, Sealed
from notify.model.decision import Decision, Defer, Send, Skip
from notify.model.event import MAIL, OF_ATTEMPT, BounceClass, Consequence, Effect, Event, EventType
from notify.model.failure import DeadLetter, Death, ErrorClass, Filter, KeptMail, Pause, Replay, ReplayState
from notify.model.fan_out import FanOut, FanOutState
from notify.model.guard import Hold, HoldScope, Measure
from notify.model.hook import HookState
from notify.model.incoming import Checkpoint, IncomingKind, IncomingState
from notify.model.kind import Channel, Kind, Lane, OnDoubt, OnQuiet, Retry, Tracking
from notify.model.local import Local
from notify.model.message import TRANSITIONS, Attempt, Message, MessageState, Outcome
from notify.model.notification import Attachment, Mode, Notification
from notify.model.people import APPLICATION, Author, Changed, OwnAddress, Profile, Source, Status
from notify.model.preferences import Preferences, Quiet
from notify.model.recipient import ERASED_KEY, Address, Recipient, Suppression, fold

__all__ = [
    "APPLICATION",
    "ERASED_KEY",
    "MAIL",
    "OF_ATTEMPT",
    "TRANSITIONS",
    "Address",
    "Alert",
    "AlertState",
    "Attachment",
    "Attempt",
    "Author",
    "Batch",
    "BatchState",
    "BounceClass",
    "Changed",
    "Channel",
    "Checkpoint",
    "Consent",
    "ConsentAction",
    "Consequence",
    "DeadLetter",
    "Death",
    "Decision",
    "Defer",
    "Effect",
    "ErrorClass",
    "Event",
    "EventType",
    "FanOut",
    "FanOutState",
    "Filter",
    "Hold",
    "HoldScope",
    "HookState",
    "IncomingKind",
    "IncomingState",
    "KeptMail",
    "Kind",
    "Lane",
    "Local",
    "Measure",
    "Message",
    "MessageState",
    "Mode",
    "Notice",
    "Notification",
    "OnDoubt",
    "OnQuiet",
    "Outcome",
    "OwnAddress",
    "Pause",
    "Preferences",
    "Profile",
    "Quiet",
    "Recipient",
    "Replay",
    "ReplayState",
    "Retry",
    "Sealed",
    "Send",
    "Severity",
    "Skip",
    "Source",
    "Status",
    "Suppression",
    "Told",
    "Tracking",
    "Word",
    "fold",
]
