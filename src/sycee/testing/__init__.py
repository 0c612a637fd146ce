"""Test tools that are part of the product: the naive twin, random histories, simulated machines."""
