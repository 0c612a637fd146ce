"""The naive twin on holds, limits, transits, chains, batches, roles: examples computed by hand from the reference."""

from __future__ import annotations

import numpy as np
import pytest
from blake3 import blake3
from tests.testing.naive_table import ACCOUNTS, PURSES, Table

from sycee.core.records.layout import LINKED, MOVEMENT, PURSE_BIT, Kind
from sycee.core.result_codes import Result
from sycee.testing.histories import record
from sycee.testing.naive import NaiveLedger

pytestmark = pytest.mark.fast

BANKS = (
    ACCOUNTS
    + """
    open      bank  VAULT       suspense
    open      way   IN_TRANSIT  suspense
    transfer  mint  bank  500
"""
)
# Persons give at most 60 at once, 90 a day, 120 a month, 150 a year. It is day 10 of month 3 of year 1.
LIMITED = (
    BANKS
    + """
    day       10  3  1
    rules     11  0  900  -  single_max=60  day_max=90  month_max=120  year_max=150
    transfer  mint  ann  900
    under     ann  11
"""
)
# Rules 12 limit a balance to 150; the excess of Bob is sent through transit to the bank.
FULL = (
    BANKS
    + """
    rules     12  0  900  -  balance_max=150
    under     bob  12
    link      bob  way
    link      way  bank
"""
)

TABLES = {
    "limits are exact to the minor unit": LIMITED
    + """
        transfer  ann  bob  61  EXCEEDS_SINGLE_LIMIT
        transfer  ann  bob  60
        transfer  ann  bob  31  EXCEEDS_DAY_LIMIT
        transfer  ann  bob  30
        used      ann  90  90  90
        day       11  3  1
        transfer  ann  bob  31  EXCEEDS_MONTH_LIMIT
        used      ann  90  90  90     # a refusal does not change the use of the day
        transfer  ann  bob  30
        used      ann  30  120  120
        day       12  4  1
        transfer  ann  bob  31  EXCEEDS_YEAR_LIMIT
        transfer  ann  bob  30
        used      ann  30  30  150
        day       13  5  2
        transfer  ann  bob  60
        used      ann  60  60  60
    """,
    "a calendar that goes back does not change the day": LIMITED
    + """
        transfer  ann  bob  60
        day       9   3  1
        transfer  ann  bob  31  EXCEEDS_DAY_LIMIT
        transfer  ann  bob  30
        used      ann  90  90  90
    """,
    "the amounts used stay with the account under another rule set": LIMITED
    + """
        transfer  ann  bob  60
        under     ann  0
        transfer  ann  bob  500
        used      ann  60  60  60
        under     ann  11
        transfer  ann  bob  31  EXCEEDS_DAY_LIMIT
    """,
    "a hold uses limits at once and restores them in periods that are current": LIMITED
    + """
        h: hold   ann  shop  50  until=40
        used      ann  50  50  50
        k: hold   ann  shop  40  until=50
        hold      ann  shop  1   until=50  EXCEEDS_DAY_LIMIT
        void      h  shop
        used      ann  40  40  40
        day       11  3  1
        transfer  ann  bob  10
        used      ann  10  50  50
        pass      50
        held      k  0  TIMED_OUT
        used      ann  10  10  10
    """,
    "refunds, reversals and rejects check and use no limits": LIMITED
    + """
        p: pay    ann  shop  60
        moved     ann  shop  60  PAY_OWN
        rules     13  0  900  -  day_max=1  single_max=1
        under     shop  13
        refund    p  20
        moved     shop  ann  20  REFUND_OWN
        reverse   p  20
        moved     shop  ann  20  REVERSAL_OWN
        used      shop  0  0  0
        used      ann  60  60  60
    """,
    "a version takes effect at its time": BANKS
    + """
        rules     11  0  900  -  single_max=60
        rules     11  0  900  -  single_max=30  RULE_SET_EXISTS
        rules     11  0  901  -  effective_ns=50  RULE_SET_MUST_KEEP_WINDOW
        rules     12  0  900  -  effective_ns=50  RULE_SET_NOT_FOUND
        rules     11  0  900  -  single_max=30  effective_ns=50
        under     ann  11
        at        49
        transfer  ann  bob  31
        at        50
        transfer  ann  bob  31  EXCEEDS_SINGLE_LIMIT
        transfer  ann  bob  30
    """,
    "payees that money may reach": BANKS
    + """
        group     1
        join      1  shop
        rules     11  0  900  -  1  flags=0
        rules     12  0  900  -  flags=1
        rules     13  0  900  -  flags=2
        under     ann  11
        transfer  ann  cafe  1  PAYEE_NOT_ALLOWED
        transfer  ann  shop  1
        under     ann  12
        transfer  ann  bob   1  PERSONS_NOT_ALLOWED
        transfer  ann  bank  1
        under     ann  13
        transfer  ann  bank  1  CASH_OUT_NOT_ALLOWED
        send      ann  vault  way  1  CASH_OUT_NOT_ALLOWED
        transfer  ann  bob   1
    """,
    "an account whose rule set is not in force may give and not receive": BANKS
    + """
        rules     11  10  20  -
        under     ann  11
        at        9
        transfer  bank  ann  1  RULE_SET_NOT_IN_FORCE
        transfer  ann  bank  1
        at        10
        transfer  bank  ann  1
        at        20
        send      bank  ann  way  1  RULE_SET_NOT_IN_FORCE
        pay       bank  ann  1  RULE_SET_NOT_IN_FORCE
    """,
    "an excess is sent, and may be rejected": FULL
    + """
        t: transfer bank bob 200
        moved     bank  bob  200  TRANSFER
        moved     bob   way  50   WATERFALL
        balance   bob   150
        pending   bank  0  50
        u: pay    ann  bob  10
        moved     ann   bob  10  PAY_OWN
        moved     bob   way  10  WATERFALL
        confirm   t
        moved     way   bank  50  CONFIRM
        confirm   t  TRANSIT_DONE
        reject    u
        moved     way   bob  10  REJECT
        balance   bob   160
        send      bank  bob  way  1  EXCEEDS_BALANCE_LIMIT
        link      way   -
        transfer  bank  bob  1  EXCEEDS_BALANCE_LIMIT
        pending   bank  0  0
    """,
    "a waterfall sends at most the received amount": FULL
    + """
        under     bob  0
        transfer  bank  bob  300
        under     bob  12
        w: transfer ann bob 5
        moved     ann  bob  5  TRANSFER
        moved     bob  way  5  WATERFALL
        balance   bob  300
    """,
    "a hold begins no waterfall, its post does, after the rest is released": FULL
    + """
        transfer  bank  bob  120
        h: hold   ann   bob  80  until=99
        pending   bob   0  80
        p: post   h  bob  50  rest
        moved     ann   bob  50  PAY_OWN
        moved     bob   way  20  WATERFALL
        held      h  0  POSTED
        pending   bob   0  0
        transit   p  20  OPEN
    """,
    "a hold is posted in parts, and the rest is released": BANKS
    + """
        h: hold   ann  shop  60  until=40
        pending   ann  60  0
        pending   shop  0  60
        transfer  ann  bob  41  EXCEEDS_BALANCE
        post      h  bob   10  NOT_A_PARTY_TO_HOLD
        post      h  shop  61  EXCEEDS_HELD
        p: post   h  shop  25
        moved     ann  shop  25  PAY_OWN
        held      h  35  OPEN
        refund    p  26  EXCEEDS_REFUNDABLE
        refund    p  20
        moved     shop  ann  20  REFUND_OWN
        extend    h  shop  50  NOT_A_PARTY_TO_HOLD
        extend    h  ann   40  HOLD_MUST_END_LATER
        extend    h  ann   50
        at        49
        post      h  ann  5  rest
        moved     ann  shop  5  PAY_OWN
        held      h  0  POSTED
        post      h  ann  1  HOLD_DONE
        close     shop  ACCOUNT_NOT_EMPTY
        balance   ann  90
    """,
    "a hold ends exactly at its end": BANKS
    + """
        h: hold   ann  shop  60  until=40
        hold      ann  shop  1   until=0  HOLD_MUST_END_LATER
        pass      39
        held      h  60  OPEN
        pass      40
        held      h  0  TIMED_OUT
        pending   ann   0  0
        void      h  shop  HOLD_TIMED_OUT
        transfer  ann  bob  100
    """,
    "a hold of purses ends with the first of them": PURSES
    + """
        h: hold   ann  shop  50  until=999
        purse     2.0  0   CLAIMED
        purse     2.1  0   CLAIMED
        purse     1.0  20  CLAIMED
        p: post   h  shop  30
        moved     2.0  shop  20  PAY_PURSE
        moved     2.1  shop  10  PAY_PURSE
        extend    h  ann  9999  HOLD_MUST_END_LATER
        refund    p  15
        moved     shop  2.1  10  REFUND_PURSE
        moved     shop  2.0  5   REFUND_PURSE
        pass      100
        held      h  0  TIMED_OUT
        purse     2.0  5   CLAIMED
        purse     2.1  20  CLAIMED
        purse     1.0  30  CLAIMED
    """,
    "a third party or a secret releases a hold": BANKS
    + """
        h: hold   ann  shop  10  until=40  third=bob
        hold      ann  shop  10  until=40  third=nobody  RELEASER_NOT_FOUND
        post      h  shop  10  NOT_A_PARTY_TO_HOLD
        void      h  ann   NOT_A_PARTY_TO_HOLD
        post      h  bob   10  secret=x  PREIMAGE_DIFFERS
        post      h  bob   10
        moved     ann  shop  10  PAY_OWN
        k: hold   ann  shop  10  until=40  secret=sesame
        post      k  ann   10  NOT_A_PARTY_TO_HOLD
        post      k  shop  10  PREIMAGE_DIFFERS
        post      k  shop  10  secret=wheat  PREIMAGE_DIFFERS
        post      k  shop  10  secret=sesame
        moved     ann  shop  10  PAY_OWN
    """,
    "many holds at once: those of the requester, without hash locks": BANKS
    + """
        a: hold   ann  shop  10  until=40
        b: hold   ann  cafe  10  until=40
        c: hold   ann  shop  10  until=40  secret=x
        d: hold   ann  shop  10  until=40
        e: hold   ann  shop  10  until=40
        post_holds  d  a  shop  HOLDS_OUT_OF_ORDER
        post_holds  a  t  shop  HOLD_NOT_FOUND
        post_holds  a  d  shop
        moved     ann  shop  10  PAY_OWN
        moved     ann  shop  10  PAY_OWN
        held      b  10  OPEN
        held      e  10  OPEN
        void_holds  a  e  shop
        held      c  0  VOIDED
        held      e  0  VOIDED
        held      b  10  OPEN
    """,
    "a sweep sends the balance without the reserve": BANKS
    + """
        rules     12  0  900  -  refund_reserve=30
        under     shop  12
        transfer  mint  shop  100
        transfer  shop  bob   71  RESERVED_FOR_REFUNDS
        s: send   shop  bank  way  9223372036854775807  up_to
        moved     shop  way   70  SEND
        used      shop  70  70  70
        send      shop  bank  way  1  up_to  EXCEEDS_BALANCE
        block     bank  credit  6
        confirm   s
        moved     way   suspense  70  CONFIRM_SUSPENSE
        u: send   ann  bank  way  5  CREDIT_ACCOUNT_BLOCKED
        unblock   bank  credit  6
        v: send   ann  bank  way  5
        moved     ann  way  5  SEND
        block     ann  credit
        reject    v
        moved     way  suspense  5  REJECT_SUSPENSE
        transfer  ann  way  1  ACCOUNT_IS_IN_TRANSIT
    """,
    "a reversal debits the available money; the rest is a claim": BANKS
    + """
        p: pay    ann  shop  80
        moved     ann  shop  80  PAY_OWN
        transfer  shop  bob  50
        block     shop  both
        r: reverse p  70
        moved     shop  ann  30  REVERSAL_OWN
        missing   r  40
        missing   p  30
        s: reverse p  50
        missing   s  50
        transfer  mint  cafe  9
        unblock   shop  both
        transfer  mint  shop  60
        reverse   p  51  EXCEEDS_REFUNDABLE
        reverse   p  50
        moved     shop  ann  50  REVERSAL_OWN
        t: transfer ann bob 10
        reverse   t  10
        moved     bob  ann  10  REVERSAL_OWN
        reverse   r  1  ORIGINAL_NOT_REVERSIBLE
    """,
    "a refund window closes to the nanosecond": BANKS
    + """
        rules     12  0  9000000000  -  refund_window_s=2
        under     shop  12
        at        5
        p: pay    ann  shop  80
        moved     ann  shop  80  PAY_OWN
        at        2000000004
        refund    p  10
        moved     shop  ann  10  REFUND_OWN
        at        2000000005
        refund    p  10  REFUND_WINDOW_CLOSED
        reverse   p  10
        moved     shop  ann  10  REVERSAL_OWN
    """,
    "blocks have independent reasons": BANKS
    + """
        block     ann  both   1
        block     ann  debit  2
        unblock   ann  both   1
        transfer  ann  bob  1  DEBIT_ACCOUNT_BLOCKED
        transfer  mint ann  1
        unblock   ann  both   2
        transfer  ann  bob  1
        unblock   suspense  both  ACCOUNT_MUST_STAY_OPEN
    """,
    "a chain is applied as a whole": BANKS
    + """
        chain
        h: hold   ann  shop  60  until=40
        p: post   h  shop  20
        refund    p  5
        end
        moved     ann   shop  20  PAY_OWN
        moved     shop  ann   5   REFUND_OWN
        held      h  40  OPEN
    """,
    "a chain with a refusal is not applied": LIMITED
    + """
        chain
        h: hold   ann  shop  40  until=40  LINKED_FAILED
        p: post   h  shop  20  LINKED_FAILED
        s: send   ann  bank  way  9  LINKED_FAILED
        f: transfer shop bob  21  EXCEEDS_BALANCE
        w: confirm  s  LINKED_FAILED
        end
        balance   ann  1000
        pending   ann  0  0
        used      ann  0  0  0
        pending   bank  0  0
        post      h  shop  1  HOLD_NOT_FOUND
        confirm   s  TRANSIT_NOT_FOUND
        refund    p  1  ORIGINAL_WAS_REFUSED
    """,
    "a malformed chain binds no id": BANKS
    + """
        k: transfer ann bob  1
        chain
        a: transfer ann bob  1  CHAIN_BROKEN
        k: transfer ann bob  1  EXISTS_WITH_DIFFERENT_CONTENT
        b: transfer ann bob  0  AMOUNT_MUST_BE_POSITIVE
        g: group  1  CANNOT_BE_LINKED
        end
        chain
        a: transfer ann bob  1  CHAIN_BROKEN
        b: transfer ann bob  1  CHAIN_OPEN
        end  open
        chain
        a: transfer ann bob  1  CHAIN_BROKEN
        b: transfer ann bob  2  CHAIN_BROKEN
        a: transfer ann bob  3  CHAIN_REPEATS_AN_ID
        end
        chain
        a: transfer ann bob  1    LINKED_FAILED
        b: transfer ann bob  999  EXCEEDS_BALANCE
        a: transfer ann bob  3    LINKED_FAILED
        end
        a: transfer ann bob  3    EXISTS_WITH_DIFFERENT_CONTENT
        balance   bob  1
    """,
    "limits of a batch apply to the net of each account": BANKS
    + """
        stage     1  ann   shop  300
        stage     1  shop  cafe  250
        stage     1  cafe  ann   220
        settle    1  3  769  BATCH_DIFFERS
        settle    2  3  770  BATCH_NOT_FOUND
        settle    1  3  770
        moved     ann   shop  300  SETTLEMENT
        moved     shop  cafe  250  SETTLEMENT
        moved     cafe  ann   220  SETTLEMENT
        balance   ann   20
        balance   shop  50
        balance   cafe  30
        settle    1  3  770  BATCH_DONE
        stage     1  ann  shop  1  BATCH_DONE
        stage     2  ann  shop  21
        settle    2  1  21  EXCEEDS_BALANCE
        block     shop  credit
        settle    2  1  21  CREDIT_ACCOUNT_BLOCKED
        discard   2  1  21
        settle    2  1  21  BATCH_DONE
    """,
    "a batch counts the net in the daily limit and ignores the single limit": LIMITED
    + """
        stage     1  ann   shop  200
        stage     1  shop  ann   110
        settle    1  2  310
        moved     ann   shop  200  SETTLEMENT
        moved     shop  ann   110  SETTLEMENT
        used      ann  90  90  90
        stage     2  ann   shop  1
        settle    2  1  1  EXCEEDS_DAY_LIMIT
    """,
    "purses have a single limit and a maximum of a drop": ACCOUNTS
    + """
        rules     1  0  200  vault  single_max=20  balance_max=30  flags=1
        programme 1  1  city  2
        members   1  0  2
        seal1: seal 1  2
        drop      1  0  2  31  seal1  EXCEEDS_BALANCE_LIMIT
        drop      1  0  2  30  seal1
        moved     city  1.0  30  DROP
        moved     city  1.1  30  DROP
        claim     1.0  ann
        pay       ann  shop  25
        moved     1.0  shop  20  PAY_PURSE
        moved     ann  shop  5   PAY_OWN
        pay       ann  bob   5          # no persons: the purse is skipped
        moved     ann  bob   5   PAY_OWN
        pay       ann  shop  11  purses  EXCEEDS_BALANCE
    """,
    "two officers turn authority on, and two must remain": ACCOUNTS
    + """
        a: grant  eve   OFFICER  0  100
        b: grant  eve   OFFICER  0  100
        revoke    b
        revoke    b  GRANT_REVOKED
        revoke    z  GRANT_NOT_FOUND
        c: grant  max   OFFICER  0  50
        revoke    a  OFFICERS_MUST_REMAIN
        d: grant  ida   OFFICER  0  100
        revoke    a
        at        50
        revoke    d  OFFICERS_MUST_REMAIN
        revoke    c  OFFICERS_MUST_REMAIN
        upgrade   2
        upgrade   2  RULES_NOT_NEWER
    """,
    "links, keys, and links of a wrong kind": BANKS
    + """
        link      ann  bob   LINK_KIND_WRONG
        link      way  way2  CREDIT_ACCOUNT_NOT_FOUND
        link      ann  way
        link      way  ann
        key       ann  1
        key       ann  0
        close     cafe
        link      cafe  way  ACCOUNT_CLOSED
        key       cafe  1    ACCOUNT_CLOSED
        under     cafe  0    ACCOUNT_CLOSED
        under     ann   7    RULE_SET_NOT_FOUND
    """,
}


@pytest.mark.parametrize("table", TABLES.values(), ids=[name.replace(" ", "-") for name in TABLES])
def test_table(table: str) -> None:
    Table().play(table)


def test_authority_turns_on_when_a_grant_begins_to_count() -> None:
    table = Table().play("a: grant eve OFFICER 0 100\nb: grant max OFFICER 10 100\npass 9")
    assert not table.ledger.authority_on
    assert table.play("pass 10").ledger.authority_on
    assert table.play("pass 200").ledger.authority_on, "it stays on"


def test_the_flag_of_a_chain_counts_for_every_kind() -> None:
    ledger = NaiveLedger()
    broken = record(Kind.DEFINE_GROUP, 1, number=1, flags=LINKED)
    assert ledger.apply(1, 5, np.concatenate([broken, record(Kind.DEFINE_GROUP, 2, number=2)])) == [
        (Result.FLAGS_UNKNOWN, Result.CREATED),
        (Result.CANNOT_BE_LINKED, Result.CREATED),
    ]
    assert ledger.bound == {}


def test_the_movement_digest_covers_codes_and_movements() -> None:
    """Computed with the record type of a movement, which the twin does not use."""
    table = Table().play(PURSES)
    ledger, before = table.ledger, table.ledger.movement_digest
    assert NaiveLedger().movement_digest == bytes(32)
    sequence, newest = table.sequence + 1, {}
    for number, movement in enumerate(ledger.movements, 1):
        newest |= {movement.debit: number, movement.credit: number}
    pay = record(Kind.PAY, 77, debit=table.id("ann"), credit=table.id("shop"), amount=21)
    refused = record(Kind.PAY, 78, debit=table.id("ann"), credit=table.id("shop"), amount=9_999)
    assert [code for code, _ in ledger.apply(sequence, 5, np.concatenate([refused, pay]))] == [
        Result.EXCEEDS_BALANCE,
        Result.CREATED,
    ]
    shop, first, second = (
        6,
        ledger.purse(2, 0),
        ledger.purse(2, 1),
    )  # the seventh account, the fourth and fifth purse
    count, place = len(ledger.movements), sequence << 13 | 1
    rows = np.zeros(2, MOVEMENT)
    rows[0] = (PURSE_BIT | 3, shop, 20, 0, 20, newest[first.row], 0, place, 3, 0, 0)
    rows[1] = (PURSE_BIT | 4, shop, 1, 19, 21, newest[second.row], count - 1, place, 3, 1, 0)
    codes = np.array([Result.EXCEEDS_BALANCE, Result.CREATED], "<u2")
    said = before + sequence.to_bytes(8, "little") + codes.tobytes() + rows.tobytes()
    assert ledger.movement_digest == blake3(said).digest()
    ledger.pass_time(6)
    assert ledger.movement_digest == blake3(said).digest()
