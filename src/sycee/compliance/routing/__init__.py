"""Routes: paths for flows under every regime that applies on them."""
