"""What happens in the golden ledgers of money: limits, holds, chains, waterfalls, settlement.

Each function writes one ledger; amounts are minor units. The local day of the currency begins at 16:00 UTC. Those of
programmes, roles and epochs are in `ledgers_roles`.
"""

from __future__ import annotations

import hashlib

from tests.golden.book import (
    ANN,
    BOB,
    CAFE,
    EVER_NS,
    ISSUANCE,
    OPERATOR,
    SHOP,
    SUSPENSE,
    VAULT,
    WAY,
    ZONE,
    Book,
    at,
    named,
    open_town,
)

from sycee.core.records.layout import AccountKind, Block, Reason, RuleFlag
from sycee.core.records.operations import (
    block_account,
    chain,
    confirm,
    define_currency,
    define_group,
    define_rule_set,
    extend,
    hold,
    join_group,
    link_account,
    open_account,
    pay,
    post,
    post_holds,
    refund,
    reject,
    reverse,
    send,
    set_rule_set,
    settle,
    stage,
    transfer,
    unblock_account,
    void,
    void_holds,
)

SECRET = bytes(range(32))
LOCK = hashlib.sha256(SECRET).digest()
ALL_THERE_IS = 2**62


def limits(book: Book) -> None:
    """Limits of a person over a month's and a year's end; what a shop keeps; a version to come; whom money reaches."""
    new = book.new
    open_town(book, "2031-11-29T00:00:00")
    book.frame(
        "2031-11-29T01:00:00",
        define_rule_set(
            new(), rule_set=1, from_ns=0, until_ns=EVER_NS, balance_max=120_000, single_max=30_000, day_max=50_000,
            month_max=80_000, year_max=100_000,
        ),
        define_rule_set(
            new(), rule_set=2, from_ns=0, until_ns=EVER_NS, refund_reserve=5_000, refund_window_s=86_400
        ),
        set_rule_set(new(), account=ANN, rule_set=1),
        set_rule_set(new(), account=SHOP, rule_set=2),
    )  # fmt: skip
    book.frame(
        "2031-11-29T12:00:00",
        *(pay(new(), payer=ANN, payee=SHOP, amount=amount) for amount in (30_001, 30_000, 20_001, 20_000)),
        codes="EXCEEDS_SINGLE_LIMIT CREATED EXCEEDS_DAY_LIMIT CREATED",
    )
    book.frame(
        "2031-11-30T15:59:59",
        *(pay(new(), payer=ANN, payee=SHOP, amount=amount) for amount in (30_000, 1)),
        transfer(new(), debit=ISSUANCE, credit=ANN, amount=60_000),
        codes="CREATED EXCEEDS_MONTH_LIMIT CREATED",
    )
    book.frame(
        "2031-11-30T16:00:00",
        *(pay(new(), payer=ANN, payee=SHOP, amount=amount) for amount in (20_000, 1)),
        codes="CREATED EXCEEDS_YEAR_LIMIT",
    )
    book.frame("2031-12-31T15:59:59", pay(new(), payer=ANN, payee=SHOP, amount=1), codes="EXCEEDS_YEAR_LIMIT")
    bought, bought_too = new(), new()
    book.frame(
        "2031-12-31T16:00:00",
        pay(bought, payer=ANN, payee=SHOP, amount=1),
        pay(bought_too, payer=ANN, payee=SHOP, amount=2),
        *(transfer(new(), debit=ISSUANCE, credit=ANN, amount=amount) for amount in (60_004, 60_003)),
        *(transfer(new(), debit=SHOP, credit=VAULT, amount=amount) for amount in (115_004, 115_003)),
        codes="CREATED CREATED EXCEEDS_BALANCE_LIMIT CREATED RESERVED_FOR_REFUNDS CREATED",
    )
    book.frame("2032-01-01T15:59:59", refund(new(), original=bought, amount=1))
    book.frame("2032-01-01T16:00:00", refund(new(), original=bought_too, amount=2), codes="REFUND_WINDOW_CLOSED")
    _limits_to_come(book)
    _payees(book)


def _limits_to_come(book: Book) -> None:
    """A rule set gets a coming version, another in its place, and takes that on in a frame without operations."""
    new, begins_ns = book.new, at("2032-01-10T00:00:00")
    book.frame(
        "2032-01-02T00:00:00",
        define_rule_set(new(), rule_set=1, from_ns=0, until_ns=EVER_NS, day_max=100),
        define_rule_set(new(), rule_set=1, from_ns=0, until_ns=EVER_NS - 1, day_max=100, effective_ns=begins_ns),
        define_rule_set(new(), rule_set=9, from_ns=0, until_ns=EVER_NS, day_max=100, effective_ns=begins_ns),
        define_rule_set(new(), rule_set=1, from_ns=0, until_ns=EVER_NS, day_max=1_000, effective_ns=begins_ns),
        define_rule_set(new(), rule_set=1, from_ns=0, until_ns=EVER_NS, day_max=100, effective_ns=begins_ns),
        pay(new(), payer=ANN, payee=SHOP, amount=101),
        codes="RULE_SET_EXISTS RULE_SET_MUST_KEEP_WINDOW RULE_SET_NOT_FOUND CREATED CREATED CREATED",
    )
    book.wait("2032-01-10T00:00:00")
    book.frame(
        "2032-01-10T00:00:01",
        *(pay(new(), payer=ANN, payee=SHOP, amount=amount) for amount in (101, 100, 1)),
        codes="EXCEEDS_DAY_LIMIT CREATED EXCEEDS_DAY_LIMIT",
    )


def _payees(book: Book) -> None:
    """Rule sets that say whom money may reach, and one that is in force no more."""
    new, both = book.new, RuleFlag.NO_PERSONS | RuleFlag.NO_CASH_OUT
    book.frame(
        "2032-01-11T00:00:00",
        define_group(new(), group=1),
        join_group(new(), group=1, account=SHOP),
        define_rule_set(new(), rule_set=3, groups=[1], from_ns=0, until_ns=EVER_NS),
        define_rule_set(new(), rule_set=4, flags=int(both), from_ns=0, until_ns=EVER_NS),
        define_rule_set(new(), rule_set=5, from_ns=0, until_ns=at("2032-01-11T00:00:00")),
        set_rule_set(new(), account=BOB, rule_set=3),
        *(pay(new(), payer=BOB, payee=payee, amount=10) for payee in (SHOP, CAFE)),
        set_rule_set(new(), account=BOB, rule_set=4),
        *(pay(new(), payer=BOB, payee=payee, amount=10) for payee in (CAFE, ANN, VAULT)),
        set_rule_set(new(), account=BOB, rule_set=5),
        pay(new(), payer=ANN, payee=BOB, amount=10),
        pay(new(), payer=BOB, payee=ANN, amount=10),
        codes="CREATED CREATED CREATED CREATED CREATED CREATED CREATED PAYEE_NOT_ALLOWED CREATED CREATED"
        " PERSONS_NOT_ALLOWED CASH_OUT_NOT_ALLOWED CREATED RULE_SET_NOT_IN_FORCE CREATED",
    )


def holds(book: Book) -> None:
    """Holds of every party; posted in parts, let go, extended, done by the run; timing out in EMPTY frames."""
    new = book.new
    open_town(book, "2031-05-01T00:00:00")
    first, third, locked, last, declined = (new() for _ in range(5))
    until_ns = at("2031-05-03T00:00:00")
    book.frame(
        "2031-05-01T01:00:00",
        define_rule_set(new(), rule_set=1, from_ns=0, until_ns=EVER_NS, day_max=40_000, month_max=90_000),
        set_rule_set(new(), account=ANN, rule_set=1),
        hold(first, payer=ANN, payee=SHOP, amount=10_000, until_ns=until_ns),
        hold(third, payer=ANN, payee=SHOP, amount=5_000, until_ns=until_ns, third=BOB),
        hold(locked, payer=ANN, payee=SHOP, amount=3_000, until_ns=until_ns, hash_lock=LOCK),
        hold(last, payer=BOB, payee=SHOP, amount=2_000, until_ns=until_ns),
        hold(new(), payer=ANN, payee=SHOP, amount=22_001, until_ns=until_ns),
        hold(new(), payer=ANN, payee=SHOP, amount=1, until_ns=at("2031-05-01T01:00:00")),
        codes="CREATED CREATED CREATED CREATED CREATED CREATED EXCEEDS_DAY_LIMIT HOLD_MUST_END_LATER",
    )
    book.frame(
        "2031-05-01T02:00:00",
        post(new(), hold=first, by=ANN, amount=4_000),
        post(new(), hold=first, by=SHOP, amount=6_001),
        post(new(), hold=third, by=SHOP, amount=5_000),
        post(new(), hold=third, by=BOB, amount=2_000, release_rest=True),
        post(new(), hold=third, by=BOB, amount=1),
        post(new(), hold=locked, by=SHOP, amount=3_000),
        post(new(), hold=locked, by=SHOP, amount=1_000, secret=SECRET),
        extend(new(), hold=last, by=SHOP, until_ns=until_ns + 1),
        extend(new(), hold=last, by=BOB, until_ns=until_ns),
        extend(new(), hold=last, by=BOB, until_ns=until_ns + 1),
        hold(declined, payer=BOB, payee=CAFE, amount=1, until_ns=until_ns, third=ANN),
        void(new(), hold=declined, by=BOB),
        void(new(), hold=declined, by=CAFE),  # whom it is for may always do without
        codes="CREATED EXCEEDS_HELD NOT_A_PARTY_TO_HOLD CREATED HOLD_DONE PREIMAGE_DIFFERS CREATED"
        " NOT_A_PARTY_TO_HOLD HOLD_MUST_END_LATER CREATED CREATED NOT_A_PARTY_TO_HOLD CREATED",
    )
    book.frame(
        "2031-05-01T03:00:00",
        post_holds(new(), first=last, last=first, by=SHOP),
        post_holds(new(), first=first, last=last, by=SHOP),  # not the locked one
        void(new(), hold=locked, by=ANN),
        void(new(), hold=locked, by=SHOP),
        post(new(), hold=locked, by=SHOP, amount=1, secret=SECRET),
        refund(new(), original=first, amount=2_000),  # what was posted by the run comes back by the hold's id
        reverse(new(), original=first, amount=4_001),
        reverse(new(), original=first, amount=4_000),
        refund(new(), original=third, amount=1),  # posted by POSTs alone
        reverse(new(), original=locked, amount=1),
        codes="HOLDS_OUT_OF_ORDER CREATED NOT_A_PARTY_TO_HOLD CREATED HOLD_DONE CREATED EXCEEDS_REFUNDABLE CREATED"
        " ORIGINAL_IS_NOT_A_PAY ORIGINAL_NOT_REVERSIBLE",
    )
    _holds_that_end(book)


def _holds_that_end(book: Book) -> None:
    """Used amounts come back with a hold that ends on its own day; of the month alone with one that ends later."""
    new = book.new
    today, tomorrow, voided, voided_too = (new() for _ in range(4))
    book.frame(
        "2031-05-02T00:00:00",
        hold(today, payer=ANN, payee=SHOP, amount=30_000, until_ns=at("2031-05-02T01:00:00")),
        hold(tomorrow, payer=ANN, payee=SHOP, amount=10_000, until_ns=at("2031-05-03T01:00:00")),
        pay(new(), payer=ANN, payee=SHOP, amount=1),
        codes="CREATED CREATED EXCEEDS_DAY_LIMIT",
    )
    book.wait("2031-05-02T00:59:59")
    book.wait("2031-05-02T01:00:00")
    book.frame(
        "2031-05-02T01:00:01",
        post(new(), hold=today, by=SHOP, amount=1),
        pay(new(), payer=ANN, payee=SHOP, amount=30_000),
        hold(voided, payer=BOB, payee=SHOP, amount=100, until_ns=EVER_NS),
        hold(voided_too, payer=BOB, payee=SHOP, amount=200, until_ns=EVER_NS),
        codes="HOLD_TIMED_OUT CREATED CREATED CREATED",
    )
    book.frame("2031-05-02T16:00:00", pay(new(), payer=ANN, payee=SHOP, amount=5_000))
    book.wait("2031-05-04T00:00:00")
    book.frame(
        "2031-05-04T00:00:01",
        void(new(), hold=tomorrow, by=SHOP),
        extend(new(), hold=tomorrow, by=ANN, until_ns=EVER_NS),
        void_holds(new(), first=voided, last=voided_too, by=SHOP),
        void(new(), hold=voided, by=SHOP),
        void(new(), hold=new(), by=SHOP),
        codes="HOLD_TIMED_OUT HOLD_TIMED_OUT CREATED HOLD_DONE HOLD_NOT_FOUND",
    )


def chains(book: Book) -> None:
    """Chains that are done, that are taken back, and that bind nothing."""
    new = book.new
    open_town(book, "2031-06-01T00:00:00")
    held, later_ns = new(), at("2031-06-02T00:00:00")
    book.frame(
        "2031-06-01T01:00:00",
        define_rule_set(new(), rule_set=1, from_ns=0, until_ns=EVER_NS, day_max=60_000),
        set_rule_set(new(), account=ANN, rule_set=1),
        chain(
            hold(held, payer=ANN, payee=SHOP, amount=20_000, until_ns=later_ns),
            post(new(), hold=held, by=SHOP, amount=20_000),
            pay(new(), payer=SHOP, payee=CAFE, amount=35_000),
        ),
    )
    failed = chain(
        hold(new(), payer=ANN, payee=SHOP, amount=10_000, until_ns=later_ns),
        send(new(), source=ANN, destination=VAULT, through=WAY, amount=20_000),
        pay(new(), payer=ANN, payee=SHOP, amount=10_001),  # of the day 60,000 may be given, and 50,000 are
        transfer(new(), debit=ISSUANCE, credit=ANN, amount=1),
    )
    book.frame(
        "2031-06-01T02:00:00",
        failed,
        pay(new(), payer=ANN, payee=SHOP, amount=40_000),  # so what the chain used up came back
        codes="LINKED_FAILED LINKED_FAILED EXCEEDS_DAY_LIMIT LINKED_FAILED CREATED",
    )
    alone, twice = transfer(new(), debit=BOB, credit=ANN, amount=7), new()
    book.frame(
        "2031-06-01T03:00:00",
        failed,
        chain(alone, stage(new(), batch=1, debit=BOB, credit=ANN, amount=5)),
        chain(transfer(new(), debit=BOB, credit=ANN, amount=0), alone),
        chain(*(transfer(twice, debit=BOB, credit=ANN, amount=5) for _ in range(2)), alone),
        chain(alone, transfer(new(), debit=BOB, credit=ANN, amount=5))[:1],  # the last of its frame, and linked
        codes="EXISTS EXISTS EXISTS EXISTS CHAIN_BROKEN CANNOT_BE_LINKED AMOUNT_MUST_BE_POSITIVE CHAIN_BROKEN"
        " CHAIN_BROKEN CHAIN_REPEATS_AN_ID CHAIN_BROKEN CHAIN_OPEN",
    )
    book.frame("2031-06-01T04:00:00", alone, transfer(twice, debit=BOB, credit=ANN, amount=5))


def waterfall(book: Book) -> None:
    """What a wallet may not hold goes on its way to the vault, and arrives there or comes back."""
    new = book.new
    open_town(book, "2031-07-01T00:00:00")
    paid, sent_back, held, posted = (new() for _ in range(4))
    book.frame(
        "2031-07-01T01:00:00",
        define_rule_set(new(), rule_set=1, from_ns=0, until_ns=EVER_NS, balance_max=60_000),
        set_rule_set(new(), account=BOB, rule_set=1),
        pay(new(), payer=ANN, payee=BOB, amount=10_001),
        link_account(new(), account=BOB, to=WAY),
        link_account(new(), account=WAY, to=VAULT),
        pay(paid, payer=ANN, payee=BOB, amount=30_000),
        transfer(sent_back, debit=ANN, credit=BOB, amount=5_000),
        hold(held, payer=ANN, payee=BOB, amount=8_000, until_ns=EVER_NS),
        post(posted, hold=held, by=BOB, amount=8_000),
        codes="CREATED CREATED EXCEEDS_BALANCE_LIMIT CREATED CREATED CREATED CREATED CREATED CREATED",
    )
    book.frame(
        "2031-07-01T02:00:00",
        confirm(new(), sent=paid),
        reject(new(), sent=sent_back),
        reject(new(), sent=paid),
        confirm(new(), sent=held),
        pay(new(), payer=ANN, payee=BOB, amount=1),  # over the limit already: all of it goes on
        transfer(new(), debit=ANN, credit=WAY, amount=1),
        codes="CREATED CREATED TRANSIT_DONE TRANSIT_NOT_FOUND CREATED ACCOUNT_IS_IN_TRANSIT",
    )
    _no_way(book)
    _sweeps(book, posted)


def _no_way(book: Book) -> None:
    """A bank that may not hold more, is not in force, or is not to be reached, takes no excess."""
    new, begins_ns = book.new, at("2031-07-01T03:00:01")
    book.frame(
        "2031-07-01T03:00:00",
        define_rule_set(new(), rule_set=2, from_ns=0, until_ns=EVER_NS, balance_max=1),
        set_rule_set(new(), account=VAULT, rule_set=2),
        pay(new(), payer=ANN, payee=BOB, amount=1),
        define_rule_set(new(), rule_set=3, from_ns=begins_ns, until_ns=EVER_NS),
        set_rule_set(new(), account=VAULT, rule_set=3),
        pay(new(), payer=ANN, payee=BOB, amount=1),
        set_rule_set(new(), account=VAULT, rule_set=0),
        define_rule_set(new(), rule_set=4, flags=RuleFlag.NO_CASH_OUT, from_ns=0, until_ns=EVER_NS, balance_max=60_000),
        set_rule_set(new(), account=BOB, rule_set=4),
        pay(new(), payer=ANN, payee=BOB, amount=1),
        set_rule_set(new(), account=BOB, rule_set=1),
        codes="CREATED CREATED EXCEEDS_BALANCE_LIMIT CREATED CREATED EXCEEDS_BALANCE_LIMIT CREATED CREATED CREATED"
        " EXCEEDS_BALANCE_LIMIT CREATED",
    )


def _sweeps(book: Book, posted: int) -> None:
    """A shop sends all it has, a wallet is funded; what can reach nobody goes to suspense; the way is closed."""
    new = book.new
    swept, funded, returned = (new() for _ in range(3))
    book.frame(
        "2031-07-02T00:00:00",
        send(swept, source=SHOP, destination=VAULT, through=WAY, amount=ALL_THERE_IS, up_to=True),
        send(new(), source=SHOP, destination=VAULT, through=WAY, amount=ALL_THERE_IS, up_to=True),
        send(funded, source=VAULT, destination=ANN, through=WAY, amount=25_000),
        send(returned, source=ANN, destination=VAULT, through=WAY, amount=500),
        block_account(new(), account=VAULT, sides=Block.CREDIT, reason=Reason.COURT_ORDER),
        confirm(new(), sent=swept),
        reject(new(), sent=funded),
        reject(new(), sent=returned),
        unblock_account(new(), account=VAULT, sides=Block.CREDIT, reason=Reason.COURT_ORDER),
        confirm(new(), sent=posted),
        block_account(new(), account=WAY, sides=Block.CREDIT, reason=Reason.OPERATOR),
        pay(new(), payer=ANN, payee=BOB, amount=1),
        transfer(new(), debit=SUSPENSE, credit=VAULT, amount=45_000),
        codes="CREATED EXCEEDS_BALANCE CREATED CREATED CREATED CREATED CREATED CREATED CREATED CREATED CREATED"
        " EXCEEDS_BALANCE_LIMIT CREATED",
    )


def settlement(book: Book) -> None:
    """Payments that wait in a batch: refused together, done together, discarded."""
    new = book.new
    open_town(book, "2031-08-01T00:00:00")
    payments = ((ANN, SHOP, 10_000), (SHOP, CAFE, 5_000), (CAFE, ANN, 8_000))
    book.frame(
        "2031-08-01T01:00:00",
        *(stage(new(), batch=1, debit=debit, credit=credit, amount=amount) for debit, credit, amount in payments),
        stage(new(), batch=2, debit=ANN, credit=BOB, amount=100),
        stage(new(), batch=2, debit=ANN, credit=WAY, amount=100),
        settle(new(), batch=1, payments=3, total=23_001, operator=OPERATOR),
        settle(new(), batch=3, payments=3, total=23_000, operator=OPERATOR),
        settle(new(), batch=1, payments=3, total=23_000, operator=OPERATOR),  # the café has 3,000 too little
        codes="CREATED CREATED CREATED CREATED ACCOUNT_IS_IN_TRANSIT BATCH_DIFFERS BATCH_NOT_FOUND EXCEEDS_BALANCE",
    )
    book.frame(
        "2031-08-01T02:00:00",
        define_rule_set(new(), rule_set=1, from_ns=0, until_ns=EVER_NS, single_max=1, day_max=2_000),
        set_rule_set(new(), account=ANN, rule_set=1),
        stage(new(), batch=1, debit=BOB, credit=CAFE, amount=3_000),
        settle(new(), batch=1, payments=4, total=26_000, operator=OPERATOR),  # on balance ann gives 2,000
        settle(new(), batch=1, payments=4, total=26_000, operator=OPERATOR),
        stage(new(), batch=1, debit=BOB, credit=CAFE, amount=1),
        pay(new(), payer=ANN, payee=SHOP, amount=1),
        settle(new(), batch=2, payments=1, total=100, operator=OPERATOR),
        settle(new(), batch=2, payments=1, total=100, operator=OPERATOR, discard=True),
        codes="CREATED CREATED CREATED CREATED BATCH_DONE BATCH_DONE EXCEEDS_DAY_LIMIT EXCEEDS_DAY_LIMIT CREATED",
    )


def exchange(book: Book) -> None:
    """Payment against payment in two currencies; a stranger's payments and settlements; numbers."""
    new = book.new
    open_town(book, "2031-09-01T00:00:00")
    coin, coins, bobs, anns, guest = map(named, ("coin", "coins", "bob's coins", "ann's coins", "guest"))
    opened = (
        (coin, 998, AccountKind.ISSUANCE, 0, OPERATOR), (coins, 998, AccountKind.SUSPENSE, 0, 0),
        (bobs, 998, AccountKind.WALLET, coins, OPERATOR), (anns, 998, AccountKind.WALLET, coins, OPERATOR),
        (guest, 998, AccountKind.WALLET, coins, 8),
    )  # fmt: skip
    book.frame(
        "2031-09-01T01:00:00",
        define_currency(new(), currency=998, zone=ZONE),
        *(
            open_account(new(), account=account, currency=currency, kind=kind, suspense=suspense, operator=operator)
            for account, currency, kind, suspense, operator in opened
        ),
        transfer(new(), debit=coin, credit=bobs, amount=150),
        transfer(new(), debit=coin, credit=guest, amount=10),
    )
    book.frame(
        "2031-09-01T02:00:00",
        stage(new(), batch=2, debit=ANN, credit=BOB, amount=40_000),
        stage(new(), batch=1, debit=ANN, credit=BOB, amount=40_000, note=named("end to end")),
        stage(new(), batch=1, debit=bobs, credit=anns, amount=160),
        stage(new(), batch=1, debit=bobs, credit=BOB, amount=1),
        stage(new(), batch=1, debit=guest, credit=anns, amount=1),
        stage(new(), batch=3, debit=guest, credit=anns, amount=1),
        stage(new(), batch=2, debit=guest, credit=anns, amount=10),
        settle(new(), batch=1, payments=2, total=40_160, operator=OPERATOR),  # ten coins are missing
        settle(new(), batch=1, payments=2, total=40_160, operator=8),
        settle(new(), batch=2, payments=1, total=10, operator=OPERATOR, discard=True),
        transfer(new(), debit=coin, credit=bobs, amount=10),
        settle(new(), batch=1, payments=2, total=40_160, operator=OPERATOR),
        stage(new(), batch=1, debit=ANN, credit=BOB, amount=1),
        settle(new(), batch=2, payments=1, total=10, operator=8),
        codes="BATCH_NOT_FOUND CREATED CREATED CURRENCIES_MUST_MATCH BATCH_OF_ANOTHER_OPERATOR BATCH_NOT_FOUND CREATED "
        "EXCEEDS_BALANCE BATCH_OF_ANOTHER_OPERATOR BATCH_OF_ANOTHER_OPERATOR CREATED CREATED BATCH_DONE CREATED",
    )
    book.frame(
        "2031-09-01T03:00:00",
        stage(new(), batch=3, debit=anns, credit=bobs, amount=70),
        stage(new(), batch=4, debit=ANN, credit=SHOP, amount=5),
        stage(new(), batch=3, debit=BOB, credit=ANN, amount=80),
        settle(new(), batch=4, payments=1, total=5, operator=OPERATOR, discard=True),
    )
