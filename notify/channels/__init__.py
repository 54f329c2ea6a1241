"""Ways to hand a message over: one provider contract, one file per provider."""
