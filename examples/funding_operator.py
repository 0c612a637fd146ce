"""An operator opens a customer's wallet and funds it from the customer's bank account.

    sycee demo demo                                   # in another terminal
    python examples/funding_operator.py http://localhost:8420 demo

The program of North Bank does this. It logs in with a key of its own; a person of the bank signs the operations.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from sycee.client import Client, Credentials, NotTaken, Signer, api
from sycee.core import money
from sycee.core.keys import SigningKey

BROUGHT = 50_00


def main(url: str, folder: str) -> None:
    """Open and fund one wallet, and print its id."""
    demo, keys = json.loads(Path(folder, "demo.json").read_text()), Path(folder, "keys")
    north = next(role for role in demo["roles"] if role["name"] == "north")
    program = Credentials(north["client"], SigningKey.load(keys / north["client_key"]))
    person = Signer.of(north["person"], SigningKey.load(keys / north["key"]))

    with Client(url, program) as bank:
        operator = bank.do(api.session()).operator
        assert operator is not None

        # An invented customer. The client compares the records with this call before the person's key signs them.
        number = f"{time.time_ns() // 1_000_000 % 10**8:08}"
        customer = {"name": f"Customer {number}", "phone": f"+86 139 {number}"}
        wallet = bank.do(api.open_person(customer, operator=operator, tier="class-4", signer=person)).wallet

        # The reference is unique, so a program that stores it before this call never funds a wallet twice.
        sent = bank.do(api.fund(wallet, BROUGHT, f"IN-{number}", person))
        print(f"{sent.state}: the money waits until the customer's bank has paid")

        # Here the operator takes the money from the customer's bank account. A call may be done again: it acts once.
        confirmation = api.confirm(sent.id)
        try:
            bank.do(confirmation)
        except NotTaken:
            bank.do(confirmation)

        shown = bank.do(api.wallet(wallet))
        currency = money.currency(shown.currency)
        print(f"wallet {wallet} has {money.format(shown.balance_minor, currency)} {currency.code}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
