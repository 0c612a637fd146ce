"""A shop shows a QR code, a customer pays it, and the shop checks the order.

    python examples/shop_with_qr.py http://localhost:8420 demo WALLET

WALLET is a customer's wallet, as funding_operator.py prints it. The shop's till and the customer's bank are two
programs: the till asks for its money, and North Bank's app pays for the customer whose wallet it keeps.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from sycee.client import Client, Credentials, Refused, Signer, api
from sycee.core import ids
from sycee.core.keys import SigningKey
from sycee.wallets import emv_qr

PRICE = 12_50


def main(url: str, folder: str, wallet: str) -> None:
    """Sell one tea."""
    demo, keys = json.loads(Path(folder, "demo.json").read_text()), Path(folder, "keys")
    roles = {role["name"]: role for role in demo["roles"]}
    account = demo["shops"][0]["account"]

    def program(role: dict[str, Any]) -> Credentials:
        return Credentials(role["client"], SigningKey.load(keys / role["client_key"]))

    with Client(url, program(roles["tea-house"])) as shop, Client(url, program(roles["north"])) as app:
        order = f"T-{time.time_ns() // 1_000_000}"
        code = shop.do(api.qr(account, minor=PRICE, order=order))
        print(f"the till shows {code}")

        # The customer's app scans the code, which is checked by its CRC, and pays.
        scanned = emv_qr.parse(code)
        staff = Signer.of(roles["north"]["person"], SigningKey.load(keys / roles["north"]["key"]))
        payment = api.pay(wallet, scanned.account, scanned.minor, order=scanned.order, text="one tea", signer=staff)
        paid = app.do(payment)
        assert app.do(payment) == paid  # as after a lost answer: the same call again pays once

        # The till asks for the order, not for the customer: it gets no name.
        state = shop.do(api.order(account, order))
        assert state.is_paid, state
        assert state.minor == PRICE, state
        print(f"order {order} is paid: operation {state.payment}")

        # A refusal has the code of the ledger.
        try:
            app.do(api.pay(wallet, scanned.account, 10**9, text="too much", signer=staff))
        except Refused as refusal:
            print(f"another payment was refused: {refusal.code}")
        newest = next(shop.rows(api.statement(account)))
        assert newest.operation == ids.format(ids.parse(paid.id))
        print(f"the shop's account has {newest.balance_minor} fen")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
