"""Reads what comes back by mail: bounces, delays, complaints, auto-replies, receipts. Bytes in, a verdict out."""

from notify.feedback.bounces.reading import read
from notify.feedback.bounces.report import Kind, Recipient, Report, Verdict

__all__ = ["Kind", "Recipient", "Report", "Verdict", "read"]
