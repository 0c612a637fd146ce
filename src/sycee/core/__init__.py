"""Values every room shares: money, ids, codes, errors, limits, the clock, TOML documents. Imports no other room."""
