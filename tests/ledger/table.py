"""Tests that read like the ledger: one line per operation, and what it is answered.

    at        100
    open      treasury  FUNDER
    transfer  issuance  treasury  900                 CREATED
    pay       ann       shop        1   id=lunch      EXCEEDS_BALANCE
    balance   treasury  900

Every line is played on the kernels and on the twin, which must agree. Names are ids; an operation's own id is `id=`
or a fresh one. A line that ends in a code is answered so, any other operation CREATED. Verbs:

    at NS                           frames have this time from now on
    currency NUMBER ZONE            group NUMBER         join NUMBER ACCOUNT        leave NUMBER ACCOUNT
    open ACCOUNT KIND [currency=] [suspense=] [rules=]   block ACCOUNT none|debit|credit|both   close ACCOUNT
    rules NUMBER until=NS [from=] [groups=1,2] [return=ACCOUNT]
    programme NUMBER FUNDER COUNT [rules=NUMBER] [claim=FROM..UNTIL]
    members NUMBER NAME… [first=]   seal NUMBER [NAME…]  drop NUMBER FIRST..END AMOUNT [seal=]
    claim NUMBER NAME WALLET [member=]                   expire NUMBER FIRST..END
    transfer DEBIT CREDIT AMOUNT    pay PAYER PAYEE AMOUNT [purses|own]             refund PAY AMOUNT
    again [OPERATION]               send an operation's very bytes again, by default the last

What is found:

    balance ACCOUNT AMOUNT          supply CURRENCY AMOUNT
    purse PROGRAMME MEMBER LEFT [STATE] [dropped=] [spent=] [refunded=] [returned=] [wallet=]
    moved PURPOSE DEBIT CREDIT AMOUNT   the next movement that the last operation made; a purse is PROGRAMME/MEMBER
    moved nothing                   it made no more
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
from tests.ledger.sides import Sides

from sycee.core.codes import Result
from sycee.core.ids import ID
from sycee.ledger import operations
from sycee.ledger.layout import AccountKind, Block, PayFlag, Purpose, PurseState

Array = np.ndarray[Any, Any]
BLOCKS = {"none": Block(0), "debit": Block.DEBIT, "credit": Block.CREDIT, "both": Block.DEBIT | Block.CREDIT}
FLAGS = {"purses": PayFlag.PURSES_ONLY, "own": PayFlag.OWN_ONLY}

# A small bank: money is made, a treasury has it, and whoever cannot be credited has a suspense account.
BANK = """
    at        0
    currency  156       UTC
    open      issuance  ISSUANCE
    open      suspense  SUSPENSE
    open      treasury  FUNDER
    open      ann       WALLET
    open      bob       WALLET
    open      shop      MERCHANT
    open      cafe      MERCHANT
    transfer  issuance  treasury  1_000
"""


def id_of(name: str) -> int:
    """The id behind a name; "0" is the id zero."""
    return 0 if name == "0" else int.from_bytes(blake2b(name.encode(), digest_size=16).digest(), "little")


def member_ids(names: list[str]) -> Array:
    return np.array([(id_of(name) & (1 << 64) - 1, id_of(name) >> 64) for name in names], ID)


class Table:
    """One ledger that tables are played on."""

    def __init__(self) -> None:
        self.sides = Sides()
        self.now_ns = 0
        self.codes: set[Result] = set()
        self._serial = 0
        self._sent: dict[str, Array] = {}
        self._last = ""
        self._moved = 0  # how many movements the lines have accounted for
        self._names: dict[int, str] = {}
        self._cohorts: dict[str, list[str]] = {}
        self._seals: dict[str, str] = {}

    def play(self, text: str) -> Table:
        for number, line in enumerate(text.splitlines(), 1):
            words = line.split("#")[0].split()
            if words:
                try:
                    self._line(words)
                except AssertionError as error:
                    raise AssertionError(f"line {number}: {line.strip()}\n{error}") from error
        return self

    def _line(self, words: list[str]) -> None:
        expected = Result.CREATED
        if words[-1] in Result.__members__:
            expected = Result[words.pop()]
        verb, *rest = words
        options = dict(word.split("=", 1) for word in rest if "=" in word)
        plain = [word for word in rest if "=" not in word]
        if found := getattr(self, f"_find_{verb}", None):
            found(*plain, **options)
            return
        self._serial += 1
        name = options.pop("id", f"operation {self._serial}")
        if verb == "again":
            record = self._sent[plain[0] if plain else self._last]
        else:
            record = getattr(self, f"_{verb}")(id_of(name), *plain, **options)
            self._last = name
            if verb == "seal" and expected is Result.CREATED:
                self._seals[plain[0]] = name
        self._sent.setdefault(name, record)
        self._moved = self.sides.state.movements.size
        answers = self.sides.frame(self.now_ns, record)
        assert [code.name for code, _ in answers] == [expected.name] * len(answers)
        self.codes |= {code for code, _ in answers}
        if expected is not Result.CREATED:
            self._find_moved("nothing")

    def account(self, name: str) -> int:
        self._names[id_of(name)] = name
        return id_of(name)

    # --- operations ---

    def _currency(self, id: int, number: str, zone: str) -> Array:
        return operations.define_currency(id, currency=int(number), zone=zone)

    def _group(self, id: int, number: str) -> Array:
        return operations.define_group(id, group=int(number))

    def _join(self, id: int, number: str, account: str) -> Array:
        return operations.join_group(id, group=int(number), account=self.account(account))

    def _leave(self, id: int, number: str, account: str) -> Array:
        return operations.leave_group(id, group=int(number), account=self.account(account))

    def _open(
        self, id: int, account: str, kind: str, currency: str = "156", suspense: str = "suspense", rules: str = "0"
    ) -> Array:
        own = AccountKind[kind] in (AccountKind.ISSUANCE, AccountKind.SUSPENSE)
        return operations.open_account(
            id,
            account=self.account(account),
            currency=int(currency),
            kind=AccountKind[kind],
            suspense=0 if own else self.account(suspense),
            operator=1,
            rule_set=int(rules),
        )

    def _block(self, id: int, account: str, blocks: str) -> Array:
        return operations.block_account(id, account=self.account(account), blocks=BLOCKS[blocks])

    def _close(self, id: int, account: str) -> Array:
        return operations.close_account(id, account=self.account(account))

    def _rules(self, id: int, number: str, **options: str) -> Array:
        return operations.define_rule_set(
            id,
            rule_set=int(number),
            groups=[int(group) for group in options.get("groups", "").split(",") if group],
            from_ns=int(options.get("from", "0")),
            until_ns=int(options["until"]),
            return_account=self.account(options["return"]) if "return" in options else 0,
        )

    def _programme(
        self, id: int, number: str, funder: str, count: str, rules: str = "", claim: str = "0..1000000"
    ) -> Array:
        claim_from_ns, claim_until_ns = map(int, claim.split(".."))
        return operations.open_programme(
            id,
            programme=int(number),
            funder=self.account(funder),
            rule_set=int(rules or number),
            members=int(count),
            claim_from_ns=claim_from_ns,
            claim_until_ns=claim_until_ns,
        )

    def _members(self, id: int, number: str, *names: str, first: str | None = None) -> Array:
        records = operations.add_members(id, programme=int(number), members=member_ids([*names]))
        cohort = self._cohorts.setdefault(number, [])
        if first is None:
            records["first"] = len(cohort)
            cohort.extend(names)
        else:
            records["first"] = int(first)
        return records

    def _seal(self, id: int, number: str, *names: str) -> Array:
        digest = operations.cohort_digest(member_ids([*names] or self._cohorts.get(number, [])))
        return operations.seal_cohort(id, programme=int(number), digest=digest)

    def _drop(self, id: int, number: str, members: str, amount: str, seal: str | None = None) -> Array:
        first, end = map(int, members.split(".."))
        return operations.drop(
            id,
            programme=int(number),
            first=first,
            count=end - first,
            amount=amount_of(amount),
            seal=id_of(seal or self._seals.get(number, "no seal")),
        )

    def _claim(self, id: int, number: str, name: str, wallet: str, member: str = "") -> Array:
        return operations.claim(
            id,
            programme=int(number),
            member=int(member) if member else self._cohorts[number].index(name),
            member_id=id_of(name),
            wallet=self.account(wallet),
        )

    def _expire(self, id: int, number: str, members: str) -> Array:
        first, end = map(int, members.split(".."))
        return operations.expire(id, programme=int(number), first=first, count=end - first)

    def _transfer(self, id: int, debit: str, credit: str, amount: str) -> Array:
        return operations.transfer(id, debit=self.account(debit), credit=self.account(credit), amount=amount_of(amount))

    def _pay(self, id: int, payer: str, payee: str, amount: str, flags: str = "") -> Array:
        return operations.pay(
            id,
            payer=self.account(payer),
            payee=self.account(payee),
            amount=amount_of(amount),
            flags=int(FLAGS[flags]) if flags else 0,
        )

    def _refund(self, id: int, original: str, amount: str) -> Array:
        return operations.refund(id, original=id_of(original), amount=amount_of(amount))

    # --- what is found ---

    def _find_at(self, now_ns: str) -> None:
        self.now_ns = int(now_ns)

    def _find_balance(self, name: str, amount: str) -> None:
        account = self.sides.state.account(id_of(name))
        assert account is not None, f"there is no account {name}"
        assert account.balance == amount_of(amount)

    def _find_supply(self, currency: str, amount: str) -> None:
        assert self.sides.state.supply(int(currency)) == amount_of(amount) == self.sides.twin.supply(int(currency))

    def _find_purse(self, programme: str, member: str, left: str, state: str = "", **fields: str) -> None:
        purse = self.sides.state.purse(int(programme), int(member))
        assert purse is not None, f"there is no purse {programme}/{member}"
        assert purse.left == amount_of(left)
        assert not state or purse.state is PurseState[state]
        for name, value in fields.items():
            assert getattr(purse, name) == (id_of(value) if name == "wallet" else amount_of(value)), name

    def _find_moved(self, purpose: str, debit: str = "", credit: str = "", amount: str = "") -> None:
        movements = self.sides.twin.movements[self._moved :]
        if purpose == "nothing":
            assert movements == []
            return
        assert movements, "nothing more was moved"
        found = movements[0]
        self._moved += 1
        said = (found.purpose, self._name(found.debit), self._name(found.credit), found.amount)
        assert said == (Purpose[purpose], debit, credit, amount_of(amount))

    def _name(self, row: tuple[Any, ...]) -> str:
        return self._names[row[1]] if row[0] == "account" else f"{row[1]}/{row[2]}"


def amount_of(text: str) -> int:
    """A sum of numbers and powers of two, such as 5, -1_000 or 2^63-1."""
    total = 0
    for part in text.replace("-", " -").replace("+", " ").split():
        digits = part.lstrip("-")
        amount = 1 << int(digits.removeprefix("2^")) if "^" in digits else int(digits)
        total += -amount if part != digits else amount
    return total


def play(text: str, *, bank: bool = True) -> Table:
    """Play a table, after that of a small bank."""
    table = Table()
    if bank:
        table.play(BANK)
    return table.play(text)
