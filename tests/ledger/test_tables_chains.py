"""Chains, settlement, keys, grants and upgrades as tables."""

from __future__ import annotations

import numpy as np
import pytest
from tests.ledger.table import BANK, Table, play
from tests.ledger.test_tables_programmes import PACKETS

from sycee.core.records import operations
from sycee.core.result_codes import Result

WAYS = """
    open      vault  VAULT
    open      way    IN_TRANSIT
    transfer  treasury  vault  100
    transfer  treasury  ann    100
"""


# --- chains ---


@pytest.mark.parametrize("resolve_first", [True, False])
def test_an_id_bound_in_the_frame_before_a_broken_chain_exists(resolve_first: bool) -> None:
    """The operations of a broken chain get the same codes in one frame as in separate frames."""

    def answers(*frames: list[str]) -> list[str]:
        table = Table(resolve_first=resolve_first).play(BANK).play("transfer  treasury  ann  9  id=known")
        known, paid, other = map(table.record, (
            "transfer  treasury  ann  9  id=known", "transfer  ann  bob  7  id=paid", "transfer  ann  bob  8  id=paid",
        ))  # fmt: skip
        records = {"paid": paid, "chain": operations.chain(known, other, paid), "other": other}
        codes = []
        for frame in frames:
            codes += table.sides.frame(1, np.concatenate([records[name] for name in frame]))
        return [code.name for code, _ in codes]

    differs, in_chain = "EXISTS_WITH_DIFFERENT_CONTENT", "CHAIN_BROKEN"
    assert answers(["paid"], ["chain"]) == ["CREATED", differs, differs, "EXISTS"]
    assert answers(["paid", "chain"]) == ["CREATED", differs, differs, "EXISTS"]
    assert answers(["other", "chain"]) == ["CREATED", differs, differs, differs]  # other bytes: not in a chain
    assert answers(["chain", "paid"]) == [differs, in_chain, in_chain, "CREATED"]
    assert answers(["chain", "paid", "chain"]) == [differs, in_chain, in_chain, "CREATED", differs, differs, "EXISTS"]


def test_a_chain_succeeds_completely() -> None:
    play(WAYS).play("""
        chain
        transfer  ann  bob   100
        transfer  bob  shop  100                       # each operation sees the effects of earlier ones
        pay       shop cafe   60  id=part
        refund    part  10
        end
        moved     TRANSFER    ann   bob   100
        moved     TRANSFER    bob   shop  100
        moved     PAY_OWN     shop  cafe   60
        moved     REFUND_OWN  cafe  shop   10
        moved     nothing
        balance   shop  50
    """)


def test_one_refusal_undoes_all_of_a_chain() -> None:
    play(WAYS).play("""
        chain     id=trip
        transfer  ann  bob   100  id=first             LINKED_FAILED
        transfer  bob  shop  101  id=second            EXCEEDS_BALANCE
        transfer  treasury  bob  1  id=third           LINKED_FAILED             # it would have succeeded
        end
        balance   ann  100
        balance   bob  0
        again     trip                                 EXISTS
        transfer  ann  bob   100  id=first             EXISTS_WITH_DIFFERENT_CONTENT
        transfer  ann  bob   100
    """)


def test_the_results_of_a_chain_stay_bound() -> None:
    table = play(WAYS).play("""
        chain     id=trip
        transfer  ann  bob   100                       LINKED_FAILED
        transfer  bob  shop  101                       EXCEEDS_BALANCE
        end
    """)
    first = [(Result.EXISTS, Result.LINKED_FAILED), (Result.EXISTS, Result.EXCEEDS_BALANCE)]
    assert table.sides.frame(1, table.sent["trip"]) == first


STANDING = (
    PACKETS
    + """
    open      vault  VAULT
    open      way    IN_TRANSIT
    transfer  treasury  vault  100
    transfer  treasury  bob    100
    rules     3  day=100  balance=150
    setrules  bob  3
    link      bob  way
    link      way  vault
    day       156  1 1 1
    pay       ann  shop  3   id=lunch
    hold      bob  shop  20  until=5_000  id=held
    hold      ann  shop  12  until=5_000  id=meal
    send      vault  ann  30  id=under
    transfer  treasury  shop  40
"""
)


def test_nothing_of_a_failed_chain_is_left() -> None:
    """Accounts, purses, holds, legs, transits, ids, movements and used amounts are as before, on both sides."""
    table = play(STANDING)
    digest, movements = table.sides.state.digest(), table.sides.state.movements.size
    holds, legs = table.sides.state.holds.size, table.sides.state.hold_legs.size
    table.play("""
        chain
        pay       ann  shop   4                        LINKED_FAILED
        refund    lunch  2                             LINKED_FAILED
        transfer  treasury  bob  90                    LINKED_FAILED             # this transfer has a waterfall
        hold      bob  cafe  10  until=700  id=gone    LINKED_FAILED
        post      held  shop  5  rest                  LINKED_FAILED
        post      meal  shop  11                       LINKED_FAILED
        void      meal  shop                           LINKED_FAILED
        hold      ann  shop   2  until=60   id=gone2   LINKED_FAILED
        extend    gone2  ann  90                       LINKED_FAILED
        reverse   lunch  1                             LINKED_FAILED
        send      bob  vault  5                        LINKED_FAILED
        confirm   under                                LINKED_FAILED
        send      vault  ann  7  id=back               LINKED_FAILED
        reject    back                                 LINKED_FAILED
        transfer  ann  shop  2^40                      EXCEEDS_BALANCE
        end
        moved     nothing
        purse     1 0  0  CLAIMED  spent=3  pending=7
        purse     2 0  5  CLAIMED  spent=0  pending=5
        held      held  20
        held      meal  12  OPEN  own=0
        transit   under  30  OPEN
        used      bob  20  20  20
        pending   bob  20  0
        post      gone   cafe  1                       HOLD_NOT_FOUND
        confirm   back                                 TRANSIT_NOT_FOUND
        due       100
    """)
    state = table.sides.state
    assert state.movements.size == movements
    assert (state.holds.size, state.hold_legs.size) == (holds, legs)
    assert state.digest() != digest  # because the ids are bound
    table.play("""
        hold      ann  shop  2  until=600  id=later    # the undone transfer uses no limit
        post      later  shop  2
        moved     PAY_PURSE  2/0  shop  2
        pass      100
        held      meal  0  TIMED_OUT
        pass      700
        pass      5_000
        held      held  0  TIMED_OUT
        used      bob  0  0  0
    """)


def test_a_chain_that_binds_nothing_changes_nothing() -> None:
    table = play(STANDING)
    digest = table.sides.state.digest()
    table.play("""
        chain
        transfer  treasury  bob  90  id=twice          CHAIN_BROKEN
        post      held  shop  5                        CHAIN_BROKEN
        transfer  treasury  bob  91  id=twice          CHAIN_REPEATS_AN_ID
        transfer  ann  shop  2^40                      CHAIN_BROKEN
        end
        chain
        transfer  ann  bob   0                         AMOUNT_MUST_BE_POSITIVE
        transfer  ann  bob   1                         CHAIN_BROKEN
        end
        chain
        transfer  ann  bob   1                         CHAIN_BROKEN
        close     cafe                                 CANNOT_BE_LINKED
        end
        chain
        transfer  ann  bob   1                         CHAIN_BROKEN
        void      meal  shop                           CHAIN_OPEN
        end       open
        chain
        void      meal  shop                           CHAIN_OPEN                # a chain of one, without an end
        end       open
    """)
    assert table.sides.state.digest() == digest


def test_a_chain_with_a_bound_id_is_broken() -> None:
    play(WAYS).play("""
        transfer  ann  bob  1  id=known
        chain
        transfer  ann  bob  5  id=new                  CHAIN_BROKEN
        again     known                                EXISTS_WITH_DIFFERENT_CONTENT   # other content: the flag LINKED
        transfer  ann  bob  6  id=other                CHAIN_BROKEN
        end
        chain     id=done
        transfer  ann  bob  7
        transfer  ann  bob  8  id=last
        end
        again     done                                 EXISTS
        chain
        transfer  ann  bob  9  id=newer                CHAIN_BROKEN
        again     last                                 EXISTS                    # the last has no flag: same content
        end
        transfer  ann  bob  5  id=new                  # no id was bound
        balance   bob  21
    """)


def test_a_refusal_before_a_repeated_id_takes_precedence() -> None:
    play(WAYS).play("""
        chain
        transfer  ann  bob  101  id=twice              EXCEEDS_BALANCE
        transfer  ann  bob    2  id=between            LINKED_FAILED
        transfer  ann  bob    1  id=twice              LINKED_FAILED
        end
        transfer  ann  bob  101  id=twice              EXISTS_WITH_DIFFERENT_CONTENT  # its first record had the flag
        transfer  ann  bob    1  id=twice              EXISTS_WITH_DIFFERENT_CONTENT
    """)


def test_two_chains_and_single_operations_share_a_frame() -> None:
    table = play(WAYS)
    table.play("""
        chain  id=bad
        transfer  ann  bob   60  id=b1                 LINKED_FAILED
        transfer  bob  shop  99  id=b2                 EXCEEDS_BALANCE
        end
        frame
        transfer  ann  bob  50
        transfer  ann  bob  51                         EXCEEDS_BALANCE           # does not undo the first
        transfer  ann  bob  50
        end
        balance   ann  0
        balance   bob  100
    """)


def test_a_kind_outside_chains_refuses_the_flag_linked() -> None:
    play(WAYS).play("""
        chain
        close     cafe                                 FLAGS_UNKNOWN
        transfer  ann  bob  1                          CHAIN_BROKEN
        end
        chain
        stage     1  ann  bob  1                       FLAGS_UNKNOWN
        transfer  ann  bob  1                          CHAIN_BROKEN
        end
    """)


def test_delivery_against_payment() -> None:
    play(WAYS).play("""
        hold      ann  shop  80  until=100  third=cafe  id=price
        transfer  treasury  shop  1
        chain
        post      price  cafe  80  rest
        transfer  shop  cafe  2                        # the carrier's fee
        end
        balance   shop  79
        chain
        transfer  shop  ann  79                        LINKED_FAILED
        post      price  cafe  1                       HOLD_DONE
        end
        balance   shop  79
    """)


# --- settlement ---


def test_a_batch_settles_on_the_net_amount_of_each_account() -> None:
    play("""
        transfer  treasury  ann  10
        stage     1  ann   bob   500  id=first
        moved     nothing
        stage     1  bob   shop  495
        stage     1  shop  ann   492
        batch     1  3  1_487
        transfer  ann  bob   500                       EXCEEDS_BALANCE           # gross amounts exceed the balances
        settle    1  2  1_487                          BATCH_DIFFERS
        settle    1  3  1_486                          BATCH_DIFFERS
        settle    2  3  1_487                          BATCH_NOT_FOUND
        settle    1  3  1_487
        moved     SETTLEMENT  ann   bob   500
        moved     SETTLEMENT  bob   shop  495
        moved     SETTLEMENT  shop  ann   492
        moved     nothing
        balance   ann   2
        balance   bob   5
        balance   shop  3
        batch     1  none
        settle    1  3  1_487                          BATCH_DONE
        stage     1  ann  bob  1                       BATCH_DONE
        reverse   first  1                             ORIGINAL_NOT_REVERSIBLE
    """)


def test_a_batch_is_settled_completely_or_not_at_all() -> None:
    play("""
        transfer  treasury  ann  10
        stage     1  ann   bob    8
        stage     1  shop  cafe   1
        settle    1  2  9                              EXCEEDS_BALANCE           # the shop has nothing
        batch     1  2  9
        balance   ann  10
        transfer  treasury  shop  1
        settle    1  2  9
        stage     2  ann  bob  1
        discard   2  1  2                              BATCH_DIFFERS
        discard   2  1  1
        moved     nothing
        batch     2  none
        settle    2  1  1                              BATCH_DONE
        discard   2  1  1                              BATCH_DONE
        discard   3  1  1                              BATCH_NOT_FOUND
    """)


def test_a_settlement_is_checked_against_the_state_at_settle() -> None:
    play("""
        rules     1  single=1  day=5  balance=20  until=100  reserve=3
        transfer  treasury  ann  20
        setrules  ann  1
        setrules  bob  1
        day       156  1 1 1
        stage     1  ann  bob  9
        stage     1  bob  ann  3
        settle    1  2  12                             EXCEEDS_DAY_LIMIT         # six is more than five
        stage     1  bob  ann  1
        settle    1  3  13                             # five is not: the single limit does not apply here
        used      ann  5  5  5
        used      bob  0  0  0
        balance   bob  5
        stage     2  treasury  bob  16
        settle    2  1  16                             EXCEEDS_BALANCE_LIMIT
        stage     2  bob  treasury  1
        settle    2  2  17
        balance   bob  20
        day       156  2 1 1
        stage     3  ann  cafe  13
        settle    3  1  13                             RESERVED_FOR_REFUNDS
        discard   3  1  13
        stage     4  ann  cafe  5
        stage     4  treasury  bob  1
        stage     4  bob  treasury  1
        at        100
        settle    4  3  7                              # an account out of force may not receive a net amount
        stage     5  treasury  bob  2
        stage     5  bob  treasury  1
        settle    5  2  3                              RULE_SET_NOT_IN_FORCE
    """)


def test_blocks_and_closings_stop_a_settlement() -> None:
    play("""
        transfer  treasury  ann  20
        stage     1  ann  bob   5
        stage     1  bob  shop  5
        block     bob  debit
        settle    1  2  10                             DEBIT_ACCOUNT_BLOCKED     # although his net is not a debit
        unblock   bob  debit
        block     bob  credit
        settle    1  2  10                             CREDIT_ACCOUNT_BLOCKED
        unblock   bob  credit
        close     shop
        settle    1  2  10                             CREDIT_ACCOUNT_CLOSED
        close     bob
        settle    1  2  10                             DEBIT_ACCOUNT_CLOSED
    """)


def test_accounts_that_may_be_staged() -> None:
    play(WAYS).play("""
        currency  978  Europe/Paris
        open      euros  SUSPENSE  currency=978
        open      zoe    WALLET  currency=978  suspense=euros
        open      paul   WALLET  currency=978  suspense=euros
        stage     1  nobody  ann  1                    DEBIT_ACCOUNT_NOT_FOUND
        stage     1  ann  nobody  1                    CREDIT_ACCOUNT_NOT_FOUND
        stage     1  ann  zoe  1                       CURRENCIES_MUST_MATCH
        stage     1  ann  ann  1                       ACCOUNTS_MUST_BE_DIFFERENT
        stage     1  way  ann   1                      ACCOUNT_IS_IN_TRANSIT
        stage     1  zoe  paul  1
        stage     1  ann  bob   2^63-1                 OVERFLOWS_CREDITS         # yuan and euros are one control sum
        stage     1  ann  bob   2^63-2
        stage     0  ann  bob   1                      NUMBER_OUT_OF_RANGE
        settle    1  0  1                              COUNT_OUT_OF_RANGE
        settle    1  1  0                              AMOUNT_MUST_BE_POSITIVE
    """)


def test_a_settlement_may_pass_zero_but_not_64_bits() -> None:
    play("""
        stage     1  ann  bob  2^62-5
        stage     1  bob  ann  2^62-5
        settle    1  2  2^63-10
        moved     SETTLEMENT  ann  bob  2^62-5
        moved     SETTLEMENT  bob  ann  2^62-5
        balance   ann  0
        stage     2  ann  bob  2^62
        settle    2  1  2^62                           EXCEEDS_BALANCE
        stage     3  ann  bob  2^62+5
        stage     3  bob  ann  2^61
        settle    3  2  2^62+2^61+5                    OVERFLOWS_DEBITS          # her gross debits, not the net amount
        stage     4  shop  bob  2^62+5
        settle    4  1  2^62+5                         OVERFLOWS_CREDITS
    """)


def test_an_issuance_account_settles_without_limit() -> None:
    play("""
        stage     1  issuance  ann  5_000
        stage     1  ann  issuance  1_000
        settle    1  2  6_000
        balance   ann  4_000
        supply    156  5_000
        rules     1  groups=9                          GROUP_NOT_FOUND
        group     9
        rules     1  groups=9
        stage     2  ann  bob  1
        setrules  ann  1
        stage     2  ann  bob  1                       PAYEE_NOT_ALLOWED
        settle    2  1  1                              # the payee was checked when staged
    """)


# --- keys, grants, upgrades ---


def test_each_new_key_is_a_new_epoch() -> None:
    play("""
        signs     ann  none  0
        key       ann  phone
        signs     ann  phone  1
        key       ann  phone                           # the same key again begins a new epoch
        signs     ann  phone  2
        key       ann  watch  odd
        signs     ann  watch  3
        key       ann  none
        signs     ann  none  4
        key       ann  0                               KEY_MUST_NOT_BE_ZERO
        key       nobody  phone                        ACCOUNT_NOT_FOUND
        close     ann
        key       ann  phone                           ACCOUNT_CLOSED
    """)


def test_two_officers_switch_authority_on() -> None:
    play("""
        authority off
        grant     lin  OFFICER  id=first
        authority off
        grant     lin  OFFICER  id=spare  key=other    # one person with two grants counts once
        authority off
        grant     wu   WITNESS
        grant     wu   OFFICER  from=50  until=90  id=later
        authority off                                  # the grant has not begun
        revoke    later
        revoke    later                                GRANT_REVOKED
        revoke    nothing                              GRANT_NOT_FOUND
        revoke    first
        at        50
        grant     wu   OFFICER  until=90  id=second
        authority on
        revoke    second                               OFFICERS_MUST_REMAIN
        revoke    spare                                OFFICERS_MUST_REMAIN
        grant     lin  OFFICER  id=third
        revoke    spare                                # she has another grant
        revoke    third                                OFFICERS_MUST_REMAIN
        grant     ma   OFFICER  id=fourth
        revoke    second
        at        90
        revoke    fourth                               OFFICERS_MUST_REMAIN
        authority on
    """)


def test_officers_whose_grant_ended_do_not_count() -> None:
    play("""
        grant     lin  OFFICER  until=100  id=lin
        grant     wu   OFFICER  until=200  id=wu
        authority on
        grant     ma   OFFICER  from=300   id=ma
        grant     bank OPERATOR  operator=7  id=bank
        at        100
        revoke    bank                                 # an operator's grant can always be revoked
        revoke    lin                                  OFFICERS_MUST_REMAIN      # otherwise fewer than two count
        revoke    ma                                   OFFICERS_MUST_REMAIN
        at        300
        grant     hu   OFFICER  from=300  until=301  id=hu
        grant     xu   OFFICER  id=xu
        revoke    lin                                  # it ended, and three officers count
        authority on
    """)


def test_rules_change_to_newer_versions_only() -> None:
    play("""
        version   0
        upgrade   2  sycee-2
        version   2
        upgrade   2  sycee-2                           RULES_NOT_NEWER
        upgrade   1  sycee-1                           RULES_NOT_NEWER
        upgrade   65535  last
        version   65535
        upgrade   0  none                              NUMBER_OUT_OF_RANGE
        upgrade   65536  none                          NUMBER_OUT_OF_RANGE
    """)


def test_apply_alone_refuses_what_resolve_does() -> None:
    """The state machine itself refuses operations that `resolve` filters out."""
    table = Table(resolve_first=False)
    table.play("""
        currency  156       UTC
        open      issuance  ISSUANCE
        open      suspense  SUSPENSE
        open      ann       WALLET
        transfer  issuance  ann  5  id=mint
        again     mint                                 EXISTS
        chain
        transfer  ann  issuance  1                     CHAIN_BROKEN
        transfer  ann  issuance  0                     AMOUNT_MUST_BE_POSITIVE
        end
        chain
        transfer  ann  issuance  1                     CHAIN_BROKEN
        transfer  issuance  ann  5  id=mint            EXISTS
        end
        balance   ann  5
    """)
