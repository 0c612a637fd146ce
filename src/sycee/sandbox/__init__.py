"""Simulation of programmes before they start: the replay of a published pilot on a separate ledger."""
