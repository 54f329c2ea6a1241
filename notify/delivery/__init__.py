"""From a rung bell to a settled batch: claim, re-check, render, journal, send, record."""

from notify.delivery.deliver import deliver
from notify.delivery.relay import relay, sweep, tick
from notify.delivery.status import Status, status
from notify.delivery.worker import Worker

__all__ = ["Status", "Worker", "deliver", "relay", "status", "sweep", "tick"]
