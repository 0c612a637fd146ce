"""Wallets of persons and merchants: limits, opening, aliases, payments, requests, holds, sweeps and QR codes."""
