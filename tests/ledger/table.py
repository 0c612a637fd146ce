"""Tests in the form of a ledger: one line per operation, with its result.

    at        100
    open      treasury  FUNDER
    transfer  issuance  treasury  900                 CREATED
    pay       ann       shop        1   id=lunch      EXCEEDS_BALANCE
    balance   treasury  900

Every line is applied to the kernels and to the twin, which must agree. Names are ids; an operation's id is `id=` or a
fresh one. A line may end in the expected code; the default is CREATED. Verbs:

    at NS                           set the time of the following frames
    pass NS                         the same, and apply a frame without operations
    day NUMBER DAY MONTH YEAR       set the date of this currency in the following frames
    currency NUMBER ZONE            group NUMBER         join NUMBER ACCOUNT        leave NUMBER ACCOUNT
    rules NUMBER [from=NS] [until=NS] [groups=1,2] [return=ACCOUNT] [flags=persons,cash,final] [effective=NS]
        [balance=] [single=] [day=] [month=] [year=] [reserve=] [window=SECONDS] [least=]
    grant PERSON OFFICER|OPERATOR|WITNESS [key=] [flags=ed25519|p256|odd] [operator=] [currency=] [from=] [until=]
    revoke GRANT                    upgrade NUMBER [RELEASE]
    open ACCOUNT KIND [currency=] [suspense=] [rules=] [operator=1]
    close ACCOUNT [REASON]
    block, unblock ACCOUNT debit|credit|both [REASON]    setrules ACCOUNT NUMBER
    key ACCOUNT KEY|none [ed25519|p256|odd]              link ACCOUNT ACCOUNT|none
    programme NUMBER FUNDER COUNT [rules=NUMBER] [claim=FROM..UNTIL]
    members NUMBER NAME… [first=]   seal NUMBER [NAME…]  drop NUMBER FIRST..END AMOUNT [seal=]
    claim NUMBER NAME WALLET [member=]                   expire NUMBER FIRST..END
    transfer DEBIT CREDIT AMOUNT    pay PAYER PAYEE AMOUNT [purses|own]
    refund, reverse OPERATION AMOUNT
    hold PAYER PAYEE AMOUNT [purses|own] until=NS [third=ACCOUNT] [lock=SECRET]
    post HOLD ACCOUNT AMOUNT [rest] [secret=]            void HOLD ACCOUNT          extend HOLD ACCOUNT NS
    postholds, voidholds FIRST LAST ACCOUNT
    send FROM TO AMOUNT [upto] [via=way]                 confirm, reject OPERATION
    stage BATCH DEBIT CREDIT AMOUNT                      settle, discard BATCH COUNT SUM [operator=1]
    again [OPERATION]               send an operation's very bytes again, by default the last
    chain [id=] … end [open]        the operations between are linked to each other; open: the last one too
    frame … end                     the operations between are in one frame

Assertions:

    balance ACCOUNT AMOUNT          available ACCOUNT AMOUNT               supply CURRENCY AMOUNT
    pending ACCOUNT DEBITS CREDITS  used ACCOUNT DAY MONTH YEAR
    reasons ACCOUNT [debit=REASON,…] [credit=REASON,…] [closed=REASON]
    signs ACCOUNT KEY|none EPOCH
    purse PROGRAMME MEMBER LEFT [STATE] [dropped=] [spent=] [refunded=] [returned=] [pending=] [wallet=]
    held HOLD AMOUNT [STATE] [own=] [until=]             transit OPERATION AMOUNT STATE [from=] [via=] [to=]
    batch NUMBER COUNT SUM [operator=]                   batch NUMBER none          it is not open
    owed REVERSE AMOUNT             the claim on record
    due NS|nothing                  authority on|off     version NUMBER
    moved PURPOSE DEBIT CREDIT AMOUNT   the next movement that the last frame made; a purse is PROGRAMME/MEMBER
    moved nothing                   it made no more
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tests.ledger.side_by_side import Sides
from tests.ledger.verbs import Verbs, amount_of, id_of, secret_of

from sycee.core.arrays import Array
from sycee.core.records import layout
from sycee.core.records.layout import HoldState, Purpose, PurseState, Reason, TransitState
from sycee.core.result_codes import Result
from sycee.ledger.models import Account

# A small bank: issued money, a treasury, and a suspense account for accounts that cannot be credited.
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


class Table(Verbs):
    """One ledger to which tables are applied."""

    def __init__(self, *, resolve_first: bool = True, compare_every: int = 1) -> None:
        super().__init__()
        self.sides = Sides(resolve_first=resolve_first, compare_every=compare_every)
        self.now_ns = 0
        self.codes: set[Result] = set()
        self.sent: dict[str, Array] = {}
        self._dates: dict[int, tuple[int, int, int]] = {}
        self._serial = 0
        self._last = ""
        self._moved = 0  # number of movements that lines have named
        self._together: list[tuple[str, Array, Result]] | None = None  # the open block of lines
        self._block = ""  # kind of the block
        self._block_name = ""

    def play(self, text: str) -> Table:
        for number, line in enumerate(text.splitlines(), 1):
            words = line.split("#")[0].split()
            if words:
                try:
                    self._line(words)
                except AssertionError as error:
                    raise AssertionError(f"line {number}: {line.strip()}\n{error}") from error
        assert self._together is None, f"a {self._block} has no end"
        return self

    def _line(self, words: list[str]) -> None:
        expected = Result.CREATED
        if words[-1] in Result.__members__:
            expected = Result[words.pop()]
        verb, *rest = words
        options = dict(word.split("=", 1) for word in rest if "=" in word)
        plain = [word for word in rest if "=" not in word]
        if known := getattr(self, f"_find_{verb}", None):
            known(*plain, **options)
            return
        self._serial += 1
        name = options.pop("id", f"operation {self._serial}")
        if verb == "again":
            record = self.sent[plain[0] if plain else self._last]
        else:
            record = getattr(self, f"_do_{verb}")(id_of(name), *plain, **options)
            self._last = name
            if verb == "seal" and expected is Result.CREATED:
                self.seals[plain[0]] = name
        if self._together is not None:
            self._together.append((name, record, expected))
            return
        self.sent.setdefault(name, record)
        self._frame(record, [expected] * record.size)

    def _frame(self, records: Array, expected: list[Result]) -> None:
        self._moved = self.sides.state.movements.size
        calendar = tuple((currency, *date) for currency, date in sorted(self._dates.items()))
        answers = self.sides.frame(self.now_ns, records, calendar)
        assert [code.name for code, _ in answers] == [code.name for code in expected]
        self.codes |= {code for code, _ in answers}
        if Result.CREATED not in expected:
            self._find_moved("nothing")

    # --- lines ---

    def _find_at(self, now_ns: str) -> None:
        self.now_ns = amount_of(now_ns)

    def _find_pass(self, now_ns: str) -> None:
        self.now_ns = amount_of(now_ns)
        self._frame(np.zeros(0, layout.OPERATION), [])

    def _find_day(self, currency: str, day: str, month: str, year: str) -> None:
        self._dates[int(currency)] = int(day), int(month), int(year)

    def _find_chain(self, id: str = "") -> None:
        self._together, self._block, self._block_name = [], "chain", id

    def _find_frame(self) -> None:
        self._together, self._block, self._block_name = [], "frame", ""

    def _find_end(self, open: str = "") -> None:
        assert self._together, "nothing stands before this end"
        records = np.concatenate([record for _, record, _ in self._together])
        if self._block == "chain":
            records["flags"][: None if open else -1] |= layout.LINKED
        at = 0
        for name, record, _ in self._together:
            self.sent.setdefault(name, records[at : at + record.size].copy())
            at += record.size
        if self._block_name:
            self.sent[self._block_name] = records
        together, self._together = self._together, None
        self._frame(records, [expected for _, record, expected in together for _ in range(record.size)])

    # --- assertions ---

    @property
    def has_moved(self) -> bool:
        """Return whether the last frame made movements that no line has named yet."""
        return len(self.sides.twin.movements) > self._moved

    def account_of(self, name: str) -> Account:
        """Return the account."""
        account = self.sides.state.account(id_of(name))
        assert account is not None, f"there is no account {name}"
        return account

    def _find_balance(self, name: str, amount: str) -> None:
        assert self.account_of(name).balance == amount_of(amount)

    def _find_available(self, name: str, amount: str) -> None:
        assert self.account_of(name).available == amount_of(amount)

    def _find_pending(self, name: str, debits: str, credits: str) -> None:
        account = self.account_of(name)
        assert (account.debits_pending, account.credits_pending) == (amount_of(debits), amount_of(credits))

    def _find_used(self, name: str, *used: str) -> None:
        account = self.account_of(name)
        assert (account.day_used, account.month_used, account.year_used) == tuple(map(amount_of, used))

    def _find_reasons(self, name: str, debit: str = "", credit: str = "", closed: str = "") -> None:
        account = self.account_of(name)
        expected = [{Reason[word] for word in words.split(",") if word} for words in (debit, credit)]
        assert [account.debit_reasons, account.credit_reasons] == expected
        assert account.close_reason == (Reason[closed] if closed else None)

    def _find_signs(self, name: str, key: str, epoch: str) -> None:
        account = self.account_of(name)
        assert (account.key, account.key_epoch) == (b"" if key == "none" else secret_of(key), int(epoch))

    def _find_supply(self, currency: str, amount: str) -> None:
        assert self.sides.state.supply(int(currency)) == amount_of(amount) == self.sides.twin.supply(int(currency))

    def _find_purse(self, programme: str, member: str, left: str, state: str = "", **fields: str) -> None:
        purse = self.sides.state.purse(int(programme), int(member))
        assert purse is not None, f"there is no purse {programme}/{member}"
        assert purse.left == amount_of(left)
        assert not state or purse.state is PurseState[state]
        for name, value in fields.items():
            assert getattr(purse, name) == (id_of(value) if name == "wallet" else amount_of(value)), name

    def _find_held(self, name: str, amount: str, state: str = "OPEN", own: str = "", until: str = "") -> None:
        hold = self.sides.state.hold(id_of(name))
        assert hold is not None, f"{name} made no hold"
        assert (hold.held, hold.state) == (amount_of(amount), HoldState[state])
        assert not own or hold.own_held == amount_of(own)
        assert not until or hold.until_ns == amount_of(until)

    def _find_transit(self, name: str, amount: str, state: str = "OPEN", **ends: str) -> None:
        transit = self.sides.state.transit_of(id_of(name))
        if amount == "none":
            assert transit is None
            return
        assert transit is not None, f"{name} sent nothing on its way"
        assert (transit.amount, transit.state) == (amount_of(amount), TransitState[state])
        for end, field in (("from", transit.source), ("via", transit.through), ("to", transit.destination)):
            assert end not in ends or field == id_of(ends[end]), end

    def _find_batch(self, number: str, count: str, total: str = "", operator: str = "1") -> None:
        batches = self.sides.state.batches
        found = batches[batches["number"] == amount_of(number)][["count", "total", "operator"]].tolist()
        assert found == ([] if count == "none" else [(int(count), amount_of(total), int(operator))])

    def _find_owed(self, name: str, amount: str) -> None:
        bound = self.sides.state.bound_of(id_of(name))
        assert bound is not None, f"{name} is not bound"
        assert bound["kind"] == layout.Kind.REVERSE, f"{name} is no reversal"
        assert int(bound["detail"]) == amount_of(amount)

    def _find_due(self, when: str) -> None:
        assert self.sides.state.next_due_ns() == (None if when == "nothing" else amount_of(when))

    def _find_authority(self, on: str) -> None:
        assert self.sides.state.authority_on is (on == "on")

    def _find_version(self, number: str) -> None:
        assert self.sides.state.rules == int(number)

    def _find_moved(self, purpose: str, debit: str = "", credit: str = "", amount: str = "") -> None:
        movements = self.sides.twin.movements[self._moved :]
        if purpose == "nothing":
            assert movements == []
            return
        assert movements, "nothing more was moved"
        found = movements[0]
        self._moved += 1
        actual = (found.purpose, self._name(found.debit), self._name(found.credit), found.amount)
        assert actual == (Purpose[purpose], debit, credit, amount_of(amount))

    def _name(self, row: tuple[Any, ...]) -> str:
        return self.names[row[1]] if row[0] == "account" else f"{row[1]}/{row[2]}"


def play(text: str, *, bank: bool = True) -> Table:
    """Apply a table, after that of a small bank."""
    table = Table()
    if bank:
        table.play(BANK)
    return table.play(text)
