"""The embedded stack: a real broker, a mail catcher and real worker processes on one machine."""
