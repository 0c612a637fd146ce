"""Authentication: who sends a request. A login never authorises money; only a signed envelope does."""
