"""Pages for browsers: start, supply, login. All their files come from this server; nothing is inline."""
