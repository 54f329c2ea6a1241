"""Modules of the public face: functions on this process's App, reached as `notify.recipients` and the like."""
