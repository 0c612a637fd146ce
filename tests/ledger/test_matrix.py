"""The result of every operation that moves or holds money, for its two accounts in every state.

One row per operation: its result for each state of the paying account while the receiving one is open, and for each
state of the receiving account while the paying one is open. If both states cause a code, the result is the code with
the higher PRECEDENCE. Every pair of states is applied to kernels and twin.

`from` and `to` are the accounts of the original payment: by REFUND or REVERSE, `to` pays. In a row with `~`, the
receiver is linked to a bank, so that a waterfall is possible. For `drop` and `expire`: funder and return account.
"""

from __future__ import annotations

import pytest
from tests.ledger.table import Table

from sycee.core.result_codes import PRECEDENCE, Result

STATES = ("open", "debit", "credit", "closed", "full", "expired", "swept")
# open      it has money, and its rule set is in force
# debit     blocked for debits
# credit    blocked for credits
# closed
# full      its balance is the maximum of its rule set
# expired   its rule set is no longer in force
# swept     all its money was sent to a bank
CODES = {
    ".": Result.CREATED,
    "0": Result.CREATED,  # and nothing moved
    "DC": Result.DEBIT_ACCOUNT_CLOSED,
    "CC": Result.CREDIT_ACCOUNT_CLOSED,
    "DB": Result.DEBIT_ACCOUNT_BLOCKED,
    "CB": Result.CREDIT_ACCOUNT_BLOCKED,
    "NF": Result.RULE_SET_NOT_IN_FORCE,
    "BAL": Result.EXCEEDS_BALANCE,
    "LIM": Result.EXCEEDS_BALANCE_LIMIT,
}
# "-" is an impossible state: an account with pending money cannot be closed.
MATRIX = """
              from                                            to
              open debit credit closed full expired swept     open debit credit closed full expired swept
    transfer   .    DB    .      DC     .    .       BAL       .    .     CB     CC     LIM  NF      .
    transfer~  .    DB    .      DC     .    .       BAL       .    .     CB     CC     .    NF      .
    pay        .    DB    .      DC     .    .       BAL       .    .     CB     CC     LIM  NF      .
    pay~       .    DB    .      DC     .    .       BAL       .    .     CB     CC     .    NF      .
    purses     .    DB    .      DC     .    .       .         .    .     CB     CC     LIM  NF      .
    hold       .    DB    .      DC     .    .       BAL       .    .     CB     CC     LIM  NF      .
    hold~      .    DB    .      DC     .    .       BAL       .    .     CB     CC     .    NF      .
    post       .    DB    .      -      .    .       .         .    .     CB     -      .    .       .
    post~      .    DB    .      -      .    .       .         .    .     CB     -      .    .       .
    postholds  .    0     .      -      .    .       .         .    .     0      -      .    .       .
    void       .    .     .      -      .    .       .         .    .     .      -      .    .       .
    extend     .    .     .      -      .    .       .         .    .     .      -      .    .       .
    refund     .    .     .      .      .    .       .         .    DB    .      DC     .    .       BAL
    reverse    .    .     .      .      .    .       .         .    .     .      0      .    .       0
    send       .    DB    .      DC     .    .       BAL       .    .     CB     CC     LIM  NF      .
    send~      .    DB    .      DC     .    .       BAL       .    .     CB     CC     LIM  NF      .
    sweep      .    DB    .      DC     .    .       BAL       .    .     CB     CC     LIM  NF      .
    confirm    .    .     .      .      .    .       .         .    .     .      -      .    .       .
    reject     .    .     .      .      .    .       .         .    .     .      -      .    .       .
    stage      .    .     .      .      .    .       .         .    .     .      .      .    .       .
    settle     .    DB    .      DC     .    .       BAL       .    .     CB     CC     LIM  NF      .
    drop       .    DB    .      DC     .    .       BAL       .    .     .      .      .    .       .
    expire     .    .     .      .      .    .       .         .    .     .      .      .    .       .
"""
MOVES_NOTHING = ("hold", "void", "extend", "stage")
# For each operation: the lines to apply before the accounts change their states, and the operation.
LINES = {
    "transfer": ("", "transfer {f} {t} 1"),
    "pay": ("", "pay {f} {t} 1"),
    "purses": ("claim 1 {n} {f}", "pay {f} {t} 1 purses"),
    "hold": ("", "hold {f} {t} 1 until=900"),
    "post": ("hold {f} {t} 1 until=900 id={n}", "post {n} {t} 1"),
    "postholds": ("hold {f} {t} 1 until=900 id={n}", "postholds {n} {n} {t}"),
    "void": ("hold {f} {t} 1 until=900 id={n}", "void {n} {t}"),
    "extend": ("hold {f} {t} 1 until=900 id={n}", "extend {n} {f} 901"),
    "refund": ("pay {f} {t} 1 id={n}", "refund {n} 1"),
    "reverse": ("transfer {f} {t} 1 id={n}", "reverse {n} 1"),
    "send": ("", "send {f} {t} 1"),
    "sweep": ("", "send {f} {t} 1 upto"),
    "confirm": ("send {f} {t} 1 id={n}", "confirm {n}"),
    "reject": ("send {f} {t} 1 id={n}", "reject {n}"),
    "stage": ("", "stage 1 {f} {t} 1"),
    "settle": ("stage {b} {f} {t} 1", "settle {b} 1 1"),
    "drop": (
        "rules {n} until=900 return={t}\nprogramme {n} {f} 1\nmembers {n} Ann\nseal {n}",
        "drop {n} 0..1 1",
    ),
    "expire": (
        "rules {n} until=60 return={t}\nprogramme {n} {f} 1\nmembers {n} Ann\nseal {n}\ndrop {n} 0..1 1",
        "expire {n} 0..1",
    ),
}  # fmt: skip
WORLD = """
    at        0
    currency  156       UTC
    open      issuance  ISSUANCE
    open      suspense  SUSPENSE
    open      treasury  FUNDER
    open      vault     VAULT
    open      way       IN_TRANSIT
    link      way       vault
    transfer  issuance  treasury  1_000_000
    rules     1  balance=1_000
    rules     2  balance=1_000  until=50
    rules     3  return=treasury
"""
ROWS = {words[0]: words[1:] for words in (line.split() for line in MATRIX.strip().splitlines()[2:])}


def expected(row: list[str], source: str, target: str) -> str:
    """Return the symbol of a pair of states: the one with the higher PRECEDENCE, "0" before "."."""
    marks = row[STATES.index(source)], row[len(STATES) + STATES.index(target)]
    return min(marks, key=lambda mark: (PRECEDENCE.index(CODES[mark]), mark != "0"))


def put(table: Table, name: str, state: str, *, linked: bool) -> None:
    """Change an account to this state."""
    if linked:
        table.play(f"link {name} way")
    if state in ("debit", "credit"):
        table.play(f"block {name} {state}")
    elif state == "closed":
        if available := table.account_of(name).available:
            table.play(f"transfer {name} treasury {available}")
        table.play(f"close {name}")
    elif state == "full":
        account = table.account_of(name)
        table.play(f"transfer treasury {name} {1_000 - account.balance - account.credits_pending}")
    elif state == "swept" and table.account_of(name).available:
        table.play(f"send {name} vault 2^62 upto")


@pytest.mark.parametrize("operation", ROWS)
def test_an_operation_in_every_state_of_both_its_accounts(operation: str) -> None:
    row, verb = ROWS[operation], operation.rstrip("~")
    before, line = LINES[verb]
    sources = [state for state, mark in zip(STATES, row, strict=False) if mark != "-"]
    targets = [state for state, mark in zip(STATES, row[len(STATES) :], strict=True) if mark != "-"]
    names = {f"from-{state}": state for state in sources} | {f"to-{state}": state for state in targets}
    table = Table(compare_every=20).play(f"frame\n{WORLD}\nend")
    opened = [f"open {name} WALLET rules={2 if state == 'expired' else 1}" for name, state in names.items()]
    funded = [f"transfer treasury {name} 100" for name in names]
    table.play("\n".join(["frame", *opened, *funded, "end"]))
    pairs = [
        {
            "n": str(10 + number),
            "b": str(1 + number),
            "f": f"from-{source}",
            "t": f"to-{target}",
            "mark": expected(row, source, target),
        }
        for number, (source, target) in enumerate((source, target) for source in sources for target in targets)
    ]
    if verb == "purses":
        members = "\n".join(f"members 1 {pair['n']}" for pair in pairs)
        table.play(f"programme 1 treasury {len(pairs)} rules=3\n{members}\nseal 1\ndrop 1 0..{len(pairs)} 1")
    if before:
        table.play("frame\n" + "\n".join(before.format(**pair) for pair in pairs) + "\nend")
    for name, state in names.items():
        put(table, name, state, linked=operation.endswith("~") and name.startswith("to-"))
    table.play("at 60")
    for pair in pairs:
        table.play(f"{line.format(**pair)} {CODES[pair['mark']].name}")
        if pair["mark"] == "0" or verb in MOVES_NOTHING:
            table.play("moved nothing")
        elif pair["mark"] == ".":
            assert table.has_moved, f"{line.format(**pair)}: nothing moved"
    table.sides.compare()
