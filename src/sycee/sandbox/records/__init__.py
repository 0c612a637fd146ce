"""Records of results: digests of what a result follows from, and verification (docs/reference/sandbox-records.md)."""
