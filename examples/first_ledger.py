"""Money moved on a ledger in a folder. The README shows this program, and what it prints."""

from sycee import AccountKind, Ledger

with Ledger.open("first-ledger") as ledger:  # creates the folder
    ledger.define_currency("CNY", zone="Asia/Shanghai")
    issuance = ledger.open_account("CNY", AccountKind.ISSUANCE)
    ann = ledger.open_account("CNY", AccountKind.WALLET)
    shop = ledger.open_account("CNY", AccountKind.MERCHANT)
    print(ledger.transfer(issuance, ann, "200.00"))  # mint: issuance alone may go below zero
    print(ledger.transfer(ann, shop, "139.58"))
    print(ledger.transfer(ann, shop, "100.00"))  # a refusal is a code, and no money moves
    print(ledger.balance(ann), ledger.balance(shop), ledger.supply("CNY"))  # in fen, hundredths of a yuan
