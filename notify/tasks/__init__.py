"""Thin Celery tasks: each parses its arguments and calls one use case. `celery -A notify.tasks …` finds them."""

from notify.broker import celery
from notify.tasks import deliver, process, ticks

app = celery

__all__ = ["app", "deliver", "process", "ticks"]
