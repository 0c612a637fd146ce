"""What a ledger is tested with, and part of the product: the naive twin, random histories, simulated machines."""
