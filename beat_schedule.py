"""beat's timetable: plain data, read by notify/tasks. Point NOTIFY_BEAT_SCHEDULE at a copy to change it.

Each tick is a Celery task; `every` is in seconds. A tick claims its slot in the database, so two beats are harmless,
and a tick that nobody fetches for a minute, or until the next one is due, is dropped.
"""

SCHEDULE = {
    "relay": {"task": "notify.relay", "every": 1.0},
    "fan_out": {"task": "notify.fan_out", "every": 1.0},
    "alerts": {"task": "notify.alerts", "every": 10.0},
    "replay": {"task": "notify.replay", "every": 1.0},
    "hooks": {"task": "notify.hooks", "every": 1.0},
    "bounces": {"task": "notify.bounces", "every": 300.0},
    "tracking": {"task": "notify.tracking", "every": 1.0},
    "sweep": {"task": "notify.sweep", "every": 60.0},
    "feedback": {"task": "notify.feedback", "every": 5.0},
    "guard": {"task": "notify.guard", "every": 60.0},
    "retention": {"task": "notify.retention", "every": 3600.0},
}
