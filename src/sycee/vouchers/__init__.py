"""Vouchers: labelled money of a programme for somebody without a wallet, redeemed at its shops."""
