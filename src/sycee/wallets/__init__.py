"""Wallets: what a person's or a merchant's account may hold and give, by how much is known of its holder."""
