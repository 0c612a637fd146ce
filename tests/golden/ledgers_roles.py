"""What happens in the golden ledgers of programmes, roles and epochs, and in the one that has every kind of operation.

Each function writes one ledger; amounts are minor units. Keys are derived from what is written here: they are nobody's.
"""

from __future__ import annotations

import numpy as np
from blake3 import blake3
from tests.golden.book import (
    ANN,
    BOB,
    CAFE,
    CURRENCY,
    EVER_NS,
    FUNDER,
    ISSUANCE,
    OPERATOR,
    SHOP,
    SUSPENSE,
    VAULT,
    WAY,
    Book,
    at,
    named,
    open_town,
)

from sycee.core.arrays import Array
from sycee.core.ids import ID
from sycee.core.keys import SigningKey
from sycee.core.records import envelopes, layout
from sycee.core.records.envelopes import Envelope
from sycee.core.records.layout import AccountKind, Block, Reason, Role
from sycee.core.records.operations import (
    add_members,
    block_account,
    claim,
    close_account,
    cohort_digest,
    confirm,
    define_currency,
    define_group,
    define_rule_set,
    drop,
    expire,
    extend,
    grant_role,
    hold,
    join_group,
    leave_group,
    link_account,
    open_account,
    open_programme,
    pay,
    post,
    post_holds,
    refund,
    reject,
    reverse,
    revoke_role,
    seal_cohort,
    send,
    set_key,
    set_rule_set,
    settle,
    stage,
    transfer,
    unblock_account,
    upgrade,
    void,
    void_holds,
)

CLAIMS_NS = at("2031-04-01T00:00:00"), at("2031-04-20T00:00:00")
PROGRAMME_ENDS = "2031-05-01T00:00:00"


def member(number: int) -> int:
    """The id of a member of a cohort."""
    return named(f"member {number}")


def cohort(count: int) -> Array:
    """The ids of the members, (count,) ID."""
    halves = [(member(number) & 2**64 - 1, member(number) >> 64) for number in range(count)]
    return np.array(halves, ID)


def set_up_programme(book: Book, moment: str, seal: int, members: int) -> None:
    """Programme 1 for payees of group 1, filled and sealed by an operation of this id."""
    new = book.new
    records = -(-members // 5)
    book.frame(
        moment,
        define_group(new(), group=1),
        join_group(new(), group=1, account=SHOP),
        define_rule_set(
            new(), rule_set=11, groups=[1], from_ns=CLAIMS_NS[0], until_ns=at(PROGRAMME_ENDS), return_account=FUNDER,
            single_max=4_000, balance_max=5_000,
        ),
        open_programme(
            new(), programme=1, funder=FUNDER, rule_set=11, members=members, claim_from_ns=CLAIMS_NS[0],
            claim_until_ns=CLAIMS_NS[1],
        ),
        add_members(ids_of([new() for _ in range(records)]), programme=1, members=cohort(members)),
        seal_cohort(seal, programme=1, digest=cohort_digest(cohort(members))),
    )  # fmt: skip


def ids_of(numbers: list[int]) -> Array:
    """Ids as the array that `operations` takes."""
    return np.array([(number & 2**64 - 1, number >> 64) for number in numbers], ID)


def kinds(book: Book) -> None:
    """Every kind of operation at least once; malformed records and known ids at the end."""
    new = book.new
    open_town(book, "2031-03-01T00:00:00")
    granted, spare, seal = new(), named("spare"), new()
    book.frame(
        "2031-03-01T01:00:00",
        open_account(
            new(), account=spare, currency=CURRENCY, kind=AccountKind.WALLET, suspense=SUSPENSE, operator=OPERATOR
        ),
        define_group(new(), group=2),
        join_group(new(), group=2, account=SHOP),
        join_group(new(), group=2, account=CAFE),
        leave_group(new(), group=2, account=SHOP),
        define_rule_set(new(), rule_set=1, from_ns=0, until_ns=EVER_NS, balance_max=120_000),
        set_rule_set(new(), account=ANN, rule_set=1),
        link_account(new(), account=ANN, to=WAY),
        set_key(new(), account=spare, key=bytes(range(1, 33)), flags=int(layout.KeyFlag.ED25519)),
        grant_role(
            granted, person=named("witness"), role=Role.WITNESS, key=bytes(range(2, 34)), from_ns=0, until_ns=EVER_NS,
            flags=int(layout.KeyFlag.P256 | layout.KeyFlag.Y_ODD),
        ),
        block_account(new(), account=spare, sides=Block.DEBIT | Block.CREDIT, reason=Reason.DORMANT, code=12),
        unblock_account(new(), account=spare, sides=Block.DEBIT, reason=Reason.DORMANT),
        upgrade(new(), rules=1, release="golden"),
    )  # fmt: skip
    set_up_programme(book, "2031-03-02T00:00:00", seal, 7)
    _payments_of_all_kinds(book, seal)
    book.frame(
        "2031-05-02T00:00:00",
        expire(new(), programme=1, first=0, count=7),
        revoke_role(new(), grant=granted),
        close_account(new(), account=spare, reason=Reason.DECEASED),
    )
    again, other = (define_currency(named("again"), currency=number, zone="Etc/UTC") for number in (998, 997))
    unknown, crooked = (
        transfer(new(), debit=ANN, credit=BOB, amount=1),
        transfer(new(), debit=ANN, credit=BOB, amount=1),
    )
    unknown["kind"], crooked["rule_set"] = 99, 1
    book.frame(
        "2031-05-03T00:00:00",
        again,
        again,
        other,
        unknown,
        crooked,
        transfer(0, debit=ANN, credit=BOB, amount=1),
        transfer(new(), debit=ANN, credit=ANN, amount=1),
        transfer(new(), debit=ANN, credit=BOB, amount=1),
        codes="CREATED EXISTS EXISTS_WITH_DIFFERENT_CONTENT KIND_UNKNOWN FIELD_MUST_BE_ZERO ID_MUST_NOT_BE_ZERO"
        " ACCOUNTS_MUST_BE_DIFFERENT CREATED",
    )


def _payments_of_all_kinds(book: Book, seal: int) -> None:
    """Programme, payments, holds, money on its way and settlement, one of each at least."""
    new = book.new
    bought, held, first, last, sent, sent_back = (new() for _ in range(6))
    book.frame(
        "2031-04-02T00:00:00",
        drop(new(), programme=1, first=0, count=7, amount=5_000, seal=seal),
        claim(new(), programme=1, member=3, member_id=member(3), wallet=ANN),
        pay(bought, payer=ANN, payee=SHOP, amount=6_000, code=5),
        refund(new(), original=bought, amount=2_500),
        reverse(new(), original=bought, amount=1_000),
        hold(held, payer=ANN, payee=SHOP, amount=700, until_ns=at("2031-04-03T00:00:00")),
        extend(new(), hold=held, by=ANN, until_ns=EVER_NS),
        post(new(), hold=held, by=SHOP, amount=300),
        void(new(), hold=held, by=SHOP),
        *(hold(id, payer=BOB, payee=CAFE, amount=50, until_ns=EVER_NS) for id in (first, last)),
        post_holds(new(), first=first, last=first, by=BOB),
        void_holds(new(), first=first, last=last, by=CAFE),
    )
    book.frame(
        "2031-04-03T00:00:00",
        send(sent, source=SHOP, destination=VAULT, through=WAY, amount=900),
        send(sent_back, source=SHOP, destination=VAULT, through=WAY, amount=800),
        confirm(new(), sent=sent),
        reject(new(), sent=sent_back),
        stage(new(), batch=1, debit=SHOP, credit=CAFE, amount=400),
        settle(new(), batch=1, payments=1, total=400, operator=OPERATOR),
    )
    own = new()
    book.frame(
        "2031-04-04T00:00:00",
        pay(own, payer=BOB, payee=SHOP, amount=300),
        block_account(new(), account=BOB, sides=Block.CREDIT, reason=Reason.REQUEST),
        refund(new(), original=own, amount=100),  # to suspense, as the next
        reverse(new(), original=own, amount=50),
        unblock_account(new(), account=BOB, sides=Block.CREDIT, reason=Reason.REQUEST),
        reverse(new(), original=own, amount=50),
    )


def programme(book: Book) -> None:
    """A cohort, a drop, claims and spending; the end, and money that comes back after it."""
    new = book.new
    open_town(book, "2031-03-01T00:00:00")
    seal, bought, bought_too, held = (new() for _ in range(4))
    set_up_programme(book, "2031-03-02T00:00:00", seal, 12)
    book.frame(
        "2031-03-31T00:00:00",
        define_rule_set(new(), rule_set=3, from_ns=0, until_ns=EVER_NS, day_max=30_000, refund_reserve=240_001),
        set_rule_set(new(), account=FUNDER, rule_set=3),
        drop(new(), programme=1, first=0, count=12, amount=5_001, seal=seal),
        drop(new(), programme=1, first=0, count=12, amount=5_000, seal=seal),
        drop(new(), programme=1, first=0, count=12, amount=4_999, seal=seal),
        drop(new(), programme=1, first=0, count=6, amount=5_000, seal=seal),
        drop(new(), programme=1, first=6, count=6, amount=1, seal=seal),
        set_rule_set(new(), account=FUNDER, rule_set=0),
        drop(new(), programme=1, first=0, count=12, amount=3_000, seal=seal),
        claim(new(), programme=1, member=0, member_id=member(0), wallet=ANN),
        codes="CREATED CREATED RESERVED_FOR_REFUNDS RESERVED_FOR_REFUNDS EXCEEDS_DAY_LIMIT CREATED EXCEEDS_DAY_LIMIT"
        " CREATED CREATED CLAIM_WINDOW_NOT_OPEN",
    )
    book.frame(
        "2031-04-02T00:00:00",
        *(
            claim(new(), programme=1, member=number, member_id=member(number), wallet=wallet)
            for number, wallet in ((0, ANN), (7, ANN), (1, BOB), (1, ANN))
        ),
        claim(new(), programme=1, member=2, member_id=member(3), wallet=ANN),
        pay(bought, payer=ANN, payee=SHOP, amount=8_500),  # 4,000 and 3,000 of purses, the rest her own
        pay(bought_too, payer=BOB, payee=SHOP, amount=3_500, flags=int(layout.PayFlag.PURSES_ONLY)),
        pay(new(), payer=BOB, payee=CAFE, amount=10, flags=int(layout.PayFlag.PURSES_ONLY)),
        hold(held, payer=ANN, payee=SHOP, amount=600, until_ns=EVER_NS),  # it ends with the programme
        refund(new(), original=bought, amount=2_000),  # 1,500 of her own, then of the last purse
        codes="CREATED CREATED CREATED PURSE_CLAIMED MEMBER_DIFFERS CREATED CREATED EXCEEDS_BALANCE CREATED CREATED",
    )
    book.frame(
        "2031-04-21T00:00:00",
        claim(new(), programme=1, member=2, member_id=member(2), wallet=ANN),
        expire(new(), programme=1, first=0, count=12),
        codes="CLAIM_WINDOW_CLOSED PROGRAMME_NOT_EXPIRED",
    )
    book.wait(PROGRAMME_ENDS)
    _after_the_end(book, seal, bought, bought_too, held)


def _after_the_end(book: Book, seal: int, bought: int, bought_too: int, held: int) -> None:
    """What was not spent returns; so does what is refunded or reversed late, to suspense where it must."""
    new = book.new
    book.frame(
        "2031-05-01T00:00:01",
        post(new(), hold=held, by=SHOP, amount=600),
        drop(new(), programme=1, first=0, count=12, amount=1, seal=seal),
        refund(new(), original=bought_too, amount=100),  # expired by time, though its purse is not yet
        expire(new(), programme=1, first=0, count=10),
        refund(new(), original=bought, amount=3_000),
        block_account(new(), account=FUNDER, sides=Block.CREDIT, reason=Reason.SANCTIONS),
        expire(new(), programme=1, first=0, count=12),
        refund(new(), original=bought_too, amount=200),
        refund(new(), original=bought_too, amount=3_201),
        codes="HOLD_TIMED_OUT PROGRAMME_EXPIRED CREATED CREATED CREATED CREATED CREATED CREATED EXCEEDS_REFUNDABLE",
    )
    claimed = new()
    book.frame(
        "2031-05-02T00:00:00",
        transfer(new(), debit=SHOP, credit=CAFE, amount=26_000),
        reverse(claimed, original=bought_too, amount=3_200),  # 500 short: a claim on record
        reverse(new(), original=claimed, amount=1),
        transfer(new(), debit=CAFE, credit=SHOP, amount=5_000),
        reverse(new(), original=bought_too, amount=500),
        codes="CREATED CREATED ORIGINAL_NOT_REVERSIBLE CREATED CREATED",
    )


# --- roles ---

OFFICER_1, OFFICER_2, OFFICER_3, CLERK, WITNESS = map(
    named, ("first officer", "second officer", "third officer", "clerk", "who watches")
)
KEYS = {
    OFFICER_1: SigningKey.derive(blake3(b"first officer").digest()),
    OFFICER_2: SigningKey.derive(blake3(b"second officer").digest(), "p256"),
    OFFICER_3: SigningKey.derive(blake3(b"third officer").digest(), "p256"),
    CLERK: SigningKey.derive(blake3(b"clerk").digest()),
    WITNESS: SigningKey.derive(blake3(b"who watches").digest()),
}
PHONES = [SigningKey.derive(blake3(bytes([number])).digest(), "p256") for number in range(2)]


def granted(id: int, person: int, role: Role) -> Array:
    """The grant of a role to a person, for ever; an operator's is the town's."""
    key, operator = KEYS[person].public, OPERATOR if role == Role.OPERATOR else 0
    return grant_role(
        id, person=person, role=role, key=key.key, flags=key.flags, from_ns=0, until_ns=EVER_NS, operator=operator
    )


def signed(book: Book, records: Array, *persons: int, first: int = 0) -> list[Envelope]:
    """An envelope of each of these persons over all the records, which stand in their frame from `first` on."""
    return [envelopes.sign(records, book.ledger_id, person, KEYS[person], EVER_NS, first=first) for person in persons]


def keyed(id: int, key: SigningKey) -> Array:
    """This key for ann's wallet."""
    return set_key(id, account=ANN, key=key.public.key, flags=key.public.flags)


def by_phone(book: Book, records: Array, *, key_epoch: int, first: int = 0) -> list[Envelope]:
    """Ann's wallet signs with the key of this epoch."""
    key = PHONES[key_epoch - 1]
    return [
        envelopes.sign(records, book.ledger_id, ANN, key, EVER_NS, first=first, currency=CURRENCY, key_epoch=key_epoch)
    ]


def authority(book: Book) -> None:
    """Two officers who sign mints, an operator in bulk, a wallet's key and the next one; an officer who leaves."""
    new = book.new
    open_town(book, "2031-09-01T00:00:00")
    second, last = new(), new()
    book.frame(
        "2031-09-01T01:00:00",
        keyed(new(), PHONES[0]),
        granted(new(), OFFICER_1, Role.OFFICER),
        granted(new(), CLERK, Role.OPERATOR),
        granted(new(), WITNESS, Role.WITNESS),
        granted(second, OFFICER_2, Role.OFFICER),
    )
    mint = transfer(new(), debit=ISSUANCE, credit=FUNDER, amount=75_000)
    bulk = transfer(ids_of([new() for _ in range(9)]), debit=BOB, credit=SHOP, amount=np.arange(1, 10))
    wallet = pay(new(), payer=ANN, payee=SHOP, amount=1_234)
    book.frame(
        "2031-09-02T00:00:00",
        mint,
        bulk,
        wallet,
        upgrade(new(), rules=1, release="golden"),  # needs nobody
        signed=[
            *signed(book, mint, OFFICER_1, OFFICER_2),
            *signed(book, bulk, CLERK, first=1),
            *by_phone(book, wallet, key_epoch=1, first=10),
        ],
    )
    phone = keyed(new(), PHONES[1])
    book.frame("2031-09-03T00:00:00", phone, signed=signed(book, phone, CLERK))
    wallet = pay(new(), payer=ANN, payee=BOB, amount=4_321)
    book.frame("2031-09-03T00:00:01", wallet, signed=by_phone(book, wallet, key_epoch=2))
    early = revoke_role(new(), grant=second)
    book.frame(
        "2031-09-04T00:00:00", early, codes="OFFICERS_MUST_REMAIN", signed=signed(book, early, OFFICER_1, OFFICER_2)
    )
    change = np.concatenate([granted(last, OFFICER_3, Role.OFFICER), revoke_role(new(), grant=second)])
    book.frame("2031-09-05T00:00:00", change, signed=signed(book, change, OFFICER_2, OFFICER_1))
    book.begin_epoch()
    mint = transfer(new(), debit=ISSUANCE, credit=VAULT, amount=1)
    book.frame("2031-09-06T00:00:00", mint, signed=signed(book, mint, OFFICER_3, OFFICER_1))


def epochs(book: Book) -> None:
    """Writers that take the journal over, twice, the second time for nothing but time to pass."""
    new = book.new
    open_town(book, "2031-10-01T00:00:00")
    held = new()
    book.frame("2031-10-01T01:00:00", hold(held, payer=ANN, payee=SHOP, amount=100, until_ns=at("2031-10-03T00:00:00")))
    book.begin_epoch()
    book.frame("2031-10-02T00:00:00", upgrade(new(), rules=1, release="golden"))
    book.frame("2031-10-02T00:00:01", post(new(), hold=held, by=SHOP, amount=40))
    book.begin_epoch()
    book.wait("2031-10-03T00:00:00")
