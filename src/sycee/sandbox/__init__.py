"""Programmes tried before they go live: the replay of a published pilot on a ledger of its own."""
