"""Ways through a network under every regime that applies on them."""
