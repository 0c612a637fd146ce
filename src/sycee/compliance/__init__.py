"""Who and what the money's data may touch, judged on declared facts under several regimes at once."""
