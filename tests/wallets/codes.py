"""Codes and notices as a delivery service has them."""

from __future__ import annotations

from sycee.bank.bank import Bank
from sycee.database.transactions import write
from sycee.life.notices import LOGIN_CREATED
from sycee.wallets.aliases import Aliases, Code


def taken(aliases: Aliases) -> list[Code]:
    """Return the codes that wait, and mark them as sent."""
    codes = [code for each in aliases.waiting_codes() if (code := aliases.code(each)) is not None]
    for each in codes:
        aliases.sent(each.challenge)
    return codes


def dead_letter(bank: Bank, person: int) -> int:
    """Return the id of a notice to a person that was given up."""
    message, id = bank.life.addressed(person, LOGIN_CREATED), bank.stores.ledger.new_id()
    assert message is not None
    write(bank.stores.engine, lambda connection: bank.life.outbox.send(connection, id, message))
    bank.life.outbox.bury(id, "status 500")
    return id
