"""The broker: Celery's instance, its queues, and the bell. What rings is only a batch's id."""

from notify.broker.bell import Bell
from notify.broker.instance import DELIVER, SYSTEM, celery, connect, queues
from notify.broker.line import declare, reach, send_again

__all__ = ["DELIVER", "SYSTEM", "Bell", "celery", "connect", "declare", "queues", "reach", "send_again"]
