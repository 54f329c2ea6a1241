"""Thin Celery tasks: each parses its arguments and calls one use case. `celery -A notify.tasks …` finds them."""

from notify.app import current
from notify.broker import celery, connect
from notify.tasks import deliver, process, ticks

connect(current().settings)
app = celery

__all__ = ["app", "deliver", "process", "ticks"]
