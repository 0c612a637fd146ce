"""What version 2 of the rules brought: final transfers, least payments, officers of one currency, one person a key."""

from __future__ import annotations

from tests.golden.book import (
    ANN,
    BOB,
    CURRENCY,
    EVER_NS,
    FUNDER,
    ISSUANCE,
    SHOP,
    VAULT,
    WAY,
    Book,
    at,
    named,
    open_town,
)
from tests.golden.ledgers_roles import CLERK, KEYS, OFFICER_1, OFFICER_2, OFFICER_3, cohort, member, signed

from sycee.core.arrays import Array
from sycee.core.records.layout import PayFlag, Role, RuleFlag
from sycee.core.records.operations import (
    add_members,
    claim,
    cohort_digest,
    define_rule_set,
    drop,
    grant_role,
    hold,
    link_account,
    open_programme,
    pay,
    post,
    refund,
    reverse,
    revoke_role,
    seal_cohort,
    set_rule_set,
    transfer,
    upgrade,
)


def version_2(book: Book) -> None:
    """Each new rule at its limit, and what it refuses."""
    new = book.new
    open_town(book, "2032-01-01T00:00:00")
    book.frame("2032-01-01T00:00:01", upgrade(new(), rules=2, release="golden"))
    _final(book)
    _least_payments(book)
    _let_go(book)
    _officers(book)


def _final(book: Book) -> None:
    new = book.new
    before, settled, paid, after = (new() for _ in range(4))
    final = int(RuleFlag.FINAL)
    book.frame(
        "2032-01-02T00:00:00",
        transfer(before, debit=ANN, credit=SHOP, amount=100),
        define_rule_set(new(), rule_set=1, from_ns=0, until_ns=EVER_NS, flags=final, refund_reserve=50),
        set_rule_set(new(), account=SHOP, rule_set=1),
        transfer(settled, debit=ANN, credit=SHOP, amount=100),
        pay(paid, payer=ANN, payee=SHOP, amount=100),
        set_rule_set(new(), account=SHOP, rule_set=0),
        transfer(after, debit=ANN, credit=SHOP, amount=100),
        *(reverse(new(), original=original, amount=1) for original in (before, settled, paid, after)),
        codes="CREATED " * 8 + "ORIGINAL_NOT_REVERSIBLE CREATED CREATED",
    )


def _least_payments(book: Book) -> None:
    new = book.new
    seal, dinner = new(), new()
    window = {"from_ns": 0, "until_ns": at("2032-03-01T00:00:00"), "return_account": FUNDER}
    book.frame(
        "2032-01-03T00:00:00",
        define_rule_set(new(), rule_set=2, **window, payment_min=2_000),
        open_programme(
            new(), programme=2, funder=FUNDER, rule_set=2, members=1, claim_from_ns=0, claim_until_ns=EVER_NS
        ),
        add_members(new(), programme=2, members=cohort(1)),
        seal_cohort(seal, programme=2, digest=cohort_digest(cohort(1))),
        drop(new(), programme=2, first=0, count=1, amount=900, seal=seal),
        claim(new(), programme=2, member=0, member_id=member(0), wallet=BOB),
        pay(new(), payer=BOB, payee=SHOP, amount=1_999),
        pay(new(), payer=BOB, payee=SHOP, amount=900, flags=int(PayFlag.PURSES_ONLY)),
        hold(new(), payer=BOB, payee=SHOP, amount=1_999, until_ns=at("2032-01-04T00:00:00")),
        pay(dinner, payer=BOB, payee=SHOP, amount=2_000),
        refund(new(), original=dinner, amount=1_500),  # 1,100 of his own, and 400 of the purse
        codes="CREATED " * 7 + "EXCEEDS_BALANCE CREATED CREATED CREATED",
    )


def _let_go(book: Book) -> None:
    """A post that lets the rest go leaves room at the bank, and the excess flows over."""
    new = book.new
    held = new()
    book.frame(
        "2032-01-05T00:00:00",
        define_rule_set(new(), rule_set=3, from_ns=0, until_ns=EVER_NS, balance_max=200_000),
        define_rule_set(new(), rule_set=4, from_ns=0, until_ns=EVER_NS, balance_max=500_300),
        set_rule_set(new(), account=ANN, rule_set=3),
        link_account(new(), account=ANN, to=WAY),
        link_account(new(), account=WAY, to=VAULT),
        hold(held, payer=FUNDER, payee=ANN, amount=1_000, until_ns=EVER_NS),
        define_rule_set(
            new(), rule_set=3, from_ns=0, until_ns=EVER_NS, balance_max=100_000, effective_ns=at("2032-01-06T00:00:00")
        ),
    )
    book.wait("2032-01-06T00:00:00")
    book.frame(
        "2032-01-06T00:00:01",
        set_rule_set(new(), account=VAULT, rule_set=4),
        post(new(), hold=held, by=ANN, amount=600, release_rest=True),
    )


def _officers(book: Book) -> None:
    new = book.new
    clerk = new()

    def granted(id: int, person: int, *, key: int = 0, currency: int = 0) -> Array:
        public = KEYS[key or person].public
        return grant_role(
            id, person=person, role=Role.OFFICER, key=public.key, flags=public.flags, from_ns=0, until_ns=EVER_NS,
            currency=currency,
        )  # fmt: skip

    book.frame(
        "2032-01-07T00:00:00",
        granted(new(), OFFICER_1),
        granted(new(), OFFICER_2, key=OFFICER_1),
        granted(new(), OFFICER_3, currency=CURRENCY),
        granted(clerk, CLERK, currency=CURRENCY),
        granted(new(), named("stranger"), key=CLERK, currency=998),
        granted(new(), OFFICER_2),
        codes="CREATED KEY_IS_ANOTHERS CREATED CREATED CURRENCY_NOT_FOUND CREATED",
    )
    mint = transfer(new(), debit=ISSUANCE, credit=FUNDER, amount=75_000)
    book.frame("2032-01-08T00:00:00", mint, signed=signed(book, mint, OFFICER_3, CLERK))
    leave = revoke_role(new(), grant=clerk)
    book.frame("2032-01-09T00:00:00", leave, signed=signed(book, leave, OFFICER_1, OFFICER_2))
    mint = transfer(new(), debit=ISSUANCE, credit=FUNDER, amount=1)
    book.frame("2032-01-10T00:00:00", mint, signed=signed(book, mint, OFFICER_3, OFFICER_1))
