"""A rehearsal of a programme for invented people, from nothing to its close, in a bank of its own."""
