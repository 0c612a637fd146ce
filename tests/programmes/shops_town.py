"""The bank of a dropped programme with two merchants of operator 2, and a second person of operator 2."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from tests.bank.world import OTHERS, Copies
from tests.bank.world import technical as technical_key
from tests.programmes import world
from tests.programmes.world import ANN, BOB, NORTH, SOUTH, START_NS, person
from tests.wallets.world import YEAR_NS, approved_merchant

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.identity.duties import Duty
from sycee.programmes.dropping import PacketClaim
from sycee.wallets.payments import Paid

NAME = "autumn-2026"
SHOPS = ("Tea house", "Cafe")


@cache
def shop_town() -> Copies:
    folder = world.world.temporary_folder()
    options = world.at("dropped").copy(folder)
    with world.opened(folder, options) as bank:
        found = bank.institutions.of_operator(2)
        assert found is not None
        appointed = bank.appointments.appoint(
            Duty.OPERATOR, OTHERS[0].public, institution=found.id, until_ns=START_NS + YEAR_NS, maker=person(bank, ANN)
        )
        assert bank.proposals.sign(appointed.id, ANN, BOB).needs == ()
        for name in SHOPS:
            merchant = approved_merchant(bank, name)
            bank.wallets.open(merchant, operator=2, tier="", signers=bank.signers(NORTH), who=person(bank, NORTH))
    return Copies(folder, "")


def claim(bank: Bank, places: Sequence[int] = range(5)) -> list[int]:
    """Claim the packets of members into their wallets; return the accounts, in the order of the cohort."""
    register = bank.programmes.registered
    assert isinstance(register, world.Register)
    members = [ids.to_int(each) for each in bank.programmes.cohort_of(NAME).members]
    claims = [PacketClaim(members[each], register.wallet_of(members[each]).account) for each in places]
    for operator, key in ((2, NORTH), (3, SOUTH)):
        own = [each for each in claims if bank.directory.get(each.wallet).operator == operator]
        if own:
            (outcome,) = bank.programmes.claim_many(NAME, 0, own, signers=bank.signers(key), who=person(bank, key))
            assert outcome.created
    return [each.wallet for each in claims]


def pay(bank: Bank, wallet: int, shop: int, minor: int, **named: Any) -> Paid:
    """Pay a shop from a wallet, for which its operator signs."""
    found = bank.directory.get(wallet)
    signers = bank.signers({2: NORTH, 3: SOUTH}[found.operator])
    return bank.payments.pay(wallet, shop, minor, signers=signers, who=found.holder, **named)


def fund(bank: Bank, wallet: int, minor: int) -> None:
    """Fund a wallet of operator 2 from its bank."""
    north, signers = person(bank, NORTH), bank.signers(NORTH)
    bank.issuance.fund(2, wallet, minor, "N-1", signers=signers, who=north).require_created("it is not funded")
    technical = bank.signers(technical_key(bank))
    funding = bank.issuance.funding(2, "N-1").id
    bank.issuance.confirm(funding, signers=technical, who=north).require_created("it is not confirmed")


def let_join(bank: Bank, account: int) -> None:
    """Apply with a shop's account, check it and let it join."""
    north = person(bank, NORTH)
    bank.shops.apply(NAME, bank.directory.holder_of(account), who=north)
    bank.shops.check(NAME, account, accepted=True, who=person(bank, ANN))
    bank.shops.join(NAME, 2, signers=bank.signers(NORTH), who=north)


def open_shop(bank: Bank, name: str) -> int:
    """The account of a shop."""
    return bank.directory.open_of(bank.institutions.find("merchant", name).id).account
