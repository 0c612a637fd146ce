"""Wallet limits: the most that accounts may hold and spend, by how well their holders are identified."""
