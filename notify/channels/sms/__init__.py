"""Text messages: their addresses."""
