"""What comes back of messages: recorded once, applied in any order, and what follows from it."""
