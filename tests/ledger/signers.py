"""A small ledger with officers, operators and keys, and the envelopes that they make."""

from __future__ import annotations

from functools import cache

import numpy as np

from sycee.core import keys
from sycee.core.arrays import Array
from sycee.core.keys import SigningKey
from sycee.core.records import envelopes, layout
from sycee.core.records.envelopes import Envelope
from sycee.core.records.layout import AccountKind, Kind, Role
from sycee.core.result_codes import Result
from sycee.ledger import authority, signatures
from sycee.ledger.state import LedgerState

LEDGER_ID = bytes(range(16))
CURRENCY = 156
NOW_NS = 1_000
UNTIL_NS = 2_000

# Persons. ANNA has two keys as an officer, OTTO and OLGA are operators 7 and 8, WILL is a witness.
ANNA, BERT, OTTO, OLGA, WILL, NOBODY = range(1, 7)
# Accounts. All but the shop are operator 7's; phone and card have keys, phone Ed25519 and card P-256.
ISSUANCE, SUSPENSE, VAULT, TREASURY, PHONE, CARD, PURSE, TRANSIT, SHOP, COIN = range(11, 21)
# Operations of the past.
PAID, SENT, POSTED, HELD, SEALED, GRANT = range(31, 37)
MISSING = 999

KEYS = {
    ANNA: SigningKey.derive(bytes([ANNA]) * 32),
    BERT: SigningKey.derive(bytes([BERT]) * 32, "p256"),
    OTTO: SigningKey.derive(bytes([OTTO]) * 32, "p256"),
    OLGA: SigningKey.derive(bytes([OLGA]) * 32),
    WILL: SigningKey.derive(bytes([WILL]) * 32),
    NOBODY: SigningKey.derive(bytes([NOBODY]) * 32),
    PHONE: SigningKey.derive(bytes([PHONE]) * 32),
    CARD: SigningKey.derive(bytes([CARD]) * 32, "p256"),
    COIN: SigningKey.derive(bytes([COIN]) * 32),
}
ANNAS_OTHER_KEY = SigningKey.derive(b"\xaa" * 32, "p256")
ACCOUNTS = {
    ISSUANCE: (AccountKind.ISSUANCE, 7),
    SUSPENSE: (AccountKind.SUSPENSE, 0),
    VAULT: (AccountKind.VAULT, 7),
    TREASURY: (AccountKind.FUNDER, 7),
    PHONE: (AccountKind.WALLET, 7),
    CARD: (AccountKind.WALLET, 7),
    PURSE: (AccountKind.WALLET, 7),
    TRANSIT: (AccountKind.IN_TRANSIT, 7),
    SHOP: (AccountKind.MERCHANT, 8),
}


def verified(jobs: signatures.Jobs) -> Array:
    """Verify jobs on this thread; return their checks, (m,) signatures.CHECK."""
    return jobs.checks(keys.verify_jobs(jobs.jobs.tobytes()))


def record(kind: Kind, id: int = 500, *, key: SigningKey | None = None, **fields: int) -> Array:
    """One record; `debit`, `credit` and `reference` are ids."""
    made = np.zeros(1, layout.OPERATION)
    made["kind"] = kind
    for name, value in (("id", id), *fields.items()):
        if name in ("id", "debit", "credit", "reference"):
            made[f"{name}_low"], made[f"{name}_high"] = value & (1 << 64) - 1, value >> 64
        else:
            made[name] = value
    if key is not None:
        made["flags"] = key.public.flags
        made.view(np.uint8)[48:80] = np.frombuffer(key.public.key, np.uint8)
    return made


def opening(id: int, account: int, kind: AccountKind, operator: int) -> Array:
    alone = kind in (AccountKind.ISSUANCE, AccountKind.SUSPENSE)
    return record(
        Kind.OPEN_ACCOUNT,
        id,
        debit=account,
        credit=0 if alone else SUSPENSE,
        number=CURRENCY,
        first=kind,
        count=operator,
    )


def granting(id: int, person: int, role: Role, key: SigningKey, *, operator: int = 0, from_ns: int = 0) -> Array:
    return record(
        Kind.GRANT_ROLE, id, debit=person, key=key, first=role, count=operator, from_ns=from_ns, until_ns=UNTIL_NS
    )


class World:
    """A small ledger that grows frame by frame."""

    def __init__(self) -> None:
        self.state = LedgerState()
        self.sequence = 0

    def frame(self, now_ns: int, *records: Array) -> None:
        """Apply records that must all succeed."""
        operations = np.concatenate(records)
        self.sequence += 1
        self.state.reserve(operations)
        answers = self.state.apply(self.sequence, now_ns, operations, ((CURRENCY, 1, 1, 1),))
        assert [Result(int(code)).name for code in answers["code"]] == ["CREATED"] * operations.size

    def authorise(
        self, operations: Array, *signed: Envelope, now_ns: int = NOW_NS, ledger_id: bytes = LEDGER_ID
    ) -> list[str]:
        codes = authority.authorise(self.state, ledger_id, now_ns, operations, signed)
        assert codes.dtype == np.uint16
        return [Result(int(code)).name for code in codes]


def open_world() -> World:
    """Accounts, money and a past, but no authority yet."""
    world = World()
    currency = record(Kind.DEFINE_CURRENCY, 101, number=CURRENCY)
    currency.view(np.uint8)[32:35] = np.frombuffer(b"UTC", np.uint8)
    rules = record(Kind.DEFINE_RULE_SET, 102, number=1, until_ns=10**6).view(layout.RULE_SET_OPERATION)
    rules["return_low"] = TREASURY
    members = record(Kind.ADD_MEMBERS, 104, number=1, count=1)
    members["debit_low"] = 77
    seal = record(Kind.SEAL_COHORT, SEALED, number=1)
    seal.view(np.uint8)[32:64] = np.frombuffer(
        # BLAKE3 of the one member's id.
        bytes.fromhex("fb31ac1d077843978c33ca985b2b58ca3259ced3a8c40024f66967b5be47c8bb"),
        np.uint8,
    )
    world.frame(
        10,
        currency,
        *(opening(110 + account, account, kind, operator) for account, (kind, operator) in ACCOUNTS.items()),
        *(record(Kind.SET_KEY, 140 + account, debit=account, key=KEYS[account]) for account in (PHONE, CARD)),
        rules.view(layout.OPERATION),
        *(
            record(Kind.TRANSFER, 170 + account, debit=ISSUANCE, credit=account, amount=10_000)
            for account in (VAULT, TREASURY, PHONE, CARD, PURSE, SHOP)
        ),
        record(
            Kind.OPEN_PROGRAMME, 103, number=1, debit=TREASURY, rule_set=1, count=1, until_ns=10**6
        ),
        members,
        seal,
        record(Kind.PAY, PAID, debit=PHONE, credit=SHOP, amount=100),
        record(Kind.SEND, SENT, debit=PHONE, credit=VAULT, reference=TRANSIT, amount=100),
        record(Kind.HOLD, HELD, debit=PHONE, credit=CARD, amount=100, until_ns=10**6),
        record(Kind.POST, POSTED, debit=CARD, reference=HELD, amount=50),
        record(Kind.UPGRADE, 105, number=1, debit=1),
    )  # fmt: skip
    return world


def grants() -> list[Array]:
    return [
        granting(GRANT, ANNA, Role.OFFICER, KEYS[ANNA]),
        granting(202, ANNA, Role.OFFICER, ANNAS_OTHER_KEY),
        granting(203, OTTO, Role.OPERATOR, KEYS[OTTO], operator=7),
        granting(204, OLGA, Role.OPERATOR, KEYS[OLGA], operator=8),
        granting(205, WILL, Role.WITNESS, KEYS[WILL]),
        granting(206, BERT, Role.OFFICER, KEYS[BERT]),
    ]


def make_world() -> World:
    world = open_world()
    world.frame(20, *grants())
    return world


@cache
def shared() -> World:
    """For tests that change nothing."""
    return make_world()


def signed(
    records: Array, signer: int, *, key: SigningKey | None = None, first: int = 0, until_ns: int = UNTIL_NS
) -> Envelope:
    """The envelope that `signer` would make: a person's, or an account's of the first epoch."""
    account = {"currency": CURRENCY, "key_epoch": 1} if signer > 10 else {}
    return envelopes.sign(records, LEDGER_ID, signer, key or KEYS[signer], until_ns, first=first, **account)
