"""Life events of wallets and their holders: a lost phone, a guardian, a death, a dormant wallet, a court order."""
