"""Experiments: designs compared under common random numbers (docs/reference/sandbox-compare.md)."""
