"""Segments: a language of conditions about recipients. An expression is read here, and never becomes text of SQL."""

from notify.audience.segments.grammar import parse

__all__ = ["parse"]
