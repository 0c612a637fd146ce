"""The documentation equals the code: result codes in their order, and the layout of every record."""

from __future__ import annotations

import re
from enum import IntEnum
from pathlib import Path

import numpy as np
import pytest
from tests.each import case

from sycee.core.records import layout
from sycee.core.records.layout import (
    AccountKind,
    HoldFlag,
    HoldState,
    KeyFlag,
    Kind,
    PayFlag,
    PostFlag,
    Purpose,
    PurseState,
    Reason,
    Role,
    RuleFlag,
    SendFlag,
    SettleFlag,
    TransitState,
)
from sycee.core.records.operation_table import TABLE, Authority
from sycee.core.result_codes import FIRST_BINDING, PRECEDENCE, SIGNATURE_CODES, Result

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
LEDGER = (REFERENCE / "ledger.md").read_text(encoding="utf-8")
CODES = (REFERENCE / "result-codes.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([A-Z_]+)` \| (\d+) \| (yes|no) \| (.+) \| (.+) \|$", re.MULTILINE)
ROWS = ROW.findall(CODES)
# First and last code of each section of the page; test_each_section_is_one_block_of_codes compares them.
BLOCKS = {
    "Malformed": (Result.ID_MUST_NOT_BE_ZERO, Result.KEY_MUST_NOT_BE_ZERO),
    "Already bound": (Result.EXISTS_WITH_DIFFERENT_CONTENT, Result.EXISTS),
    "Not accepted": (Result.CANNOT_BE_LINKED, Result.TWO_PERSONS_MUST_SIGN),
    "Refused by the state": (Result.CURRENCY_EXISTS, Result.LINKED_FAILED),
    "Succeeded": (Result.CREATED, Result.CREATED),
}


def section(start: str, end: str) -> str:
    """Return the part of ledger.md from `start` up to `end`."""
    return LEDGER[LEDGER.index(start) : LEDGER.index(end)]


def codes_named(text: str) -> set[str]:
    return set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", text)) | ({"EXISTS"} if "`EXISTS`" in text else set())


# --- result codes ---


def test_every_code_has_its_row_in_order_of_precedence() -> None:
    assert [name for name, *_ in ROWS] == [code.name for code in PRECEDENCE]
    assert CODES.count("\n| `") == len(ROWS), "a row cannot be read"


def test_a_row_gives_the_number_and_whether_the_code_binds() -> None:
    for name, number, binds in [row[:3] for row in ROWS]:
        with case(name, number, binds):
            assert Result[name] == int(number)
            assert Result[name].binds == (binds == "yes")


def test_each_section_is_one_block_of_codes() -> None:
    parts = re.split(r"^## (.+)$", CODES, flags=re.MULTILINE)[1:]
    shown = {title: [row[0] for row in ROW.findall(text)] for title, text in zip(parts[::2], parts[1::2], strict=True)}
    assert {title: (Result[names[0]], Result[names[-1]]) for title, names in shown.items()} == BLOCKS
    assert PRECEDENCE[FIRST_BINDING] is BLOCKS["Refused by the state"][0]


def test_numbers_have_no_gap() -> None:
    assert sorted(Result) == list(range(len(Result)))


def test_the_specification_names_existing_codes_only() -> None:
    # ledger.md lists the codes of operations, authority.md those of signatures; neither lists CREATED.
    authority = codes_named((REFERENCE / "authority.md").read_text(encoding="utf-8"))
    assert codes_named(LEDGER) | authority <= set(Result.__members__)
    assert {code.name for code in Result} - codes_named(LEDGER) - {"CREATED"} <= authority
    assert {code.name for code in SIGNATURE_CODES} <= authority


def test_operations_list_their_codes_in_order_of_precedence() -> None:
    """In ledger.md the line of an operation begins with its codes in order of precedence.

    The first sentence has the list; a repeated code, or a code in brackets, is an explanation.
    """
    wrong, seen = [], 0
    for line in re.findall(r"^- \*\*[A-Z_]+\*\*.*?(?=^- \*\*|^\n|^#|^[A-Z])", LEDGER + "\n#", re.MULTILINE | re.DOTALL):
        listed = re.sub(r"\([^()]*\)", "", line).split(". ")[0]
        named = list(dict.fromkeys(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", listed)))
        seen += len(named)
        if named != [code.name for code in sorted((Result[name] for name in named), key=PRECEDENCE.index)]:
            wrong.append(line[:60] + " … " + ", ".join(named))
    assert wrong == []
    assert seen > 100


# --- closed lists ---


def kinds() -> list[tuple[str, str, str, str]]:
    """Return (kind, number, flags, fields) of every row of the table of kinds."""
    table = section("| kind | no. |", "## 2.")
    return re.findall(r"^\| ([A-Z_]+(?: ⛓)?) \| (\d+) \| ([\d, ]+) \| (.+) \|$", table, re.MULTILINE)


def numbered(enum: type[IntEnum]) -> list[str]:
    """Return names with their numbers in brackets, as the specification lists states."""
    return [f"{member.name} ({member.value})" for member in enum]


def test_the_table_of_kinds_is_the_operation_table() -> None:
    assert {name.removesuffix(" ⛓"): int(number) for name, number, *_ in kinds()} == {
        kind.name: int(kind) for kind in Kind
    }
    assert f"0x{layout.LINKED:04x}, LINKED" in LEDGER


def test_each_kind_is_in_the_documented_row_of_its_authority() -> None:
    """The table of authority.md section 3 lists each kind in the row of its authority."""
    page = (REFERENCE / "authority.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\*\*.+?) \| (.+) \|$", page.split("## 3.")[1].split("## 4.")[0], re.MULTILINE)
    named = [{Kind[name] for name in re.findall(r"[A-Z_]+", text) if name in Kind.__members__} for _, text in rows]
    two, officer, staff, operator, owner, owner_and_operator, _, nobody = named

    def of(*rules: Authority) -> set[Kind]:
        return {kind for kind, row in TABLE.items() if row.authority in rules}

    of_accounts = of(Authority.GUARDED, Authority.NEW_ACCOUNT)  # two officers for the issuer's accounts and vaults
    # The owner's row also names HOLD, PAY and POST in the entry of REFUND.
    assert two == of(Authority.TWO_OFFICERS) | of_accounts
    assert officer == of(Authority.OFFICER) | {Kind.UNBLOCK_ACCOUNT}
    assert staff == of(Authority.STAFF)
    assert operator == of(Authority.ADMINISTRATION, Authority.NAMED_OPERATOR) | of_accounts
    assert owner == of(Authority.OWNER)
    assert owner_and_operator == of(Authority.OWNER_AND_OPERATOR)
    assert nobody == of(Authority.FREE)


def test_account_kinds_reasons_and_roles_have_the_documented_numbers() -> None:
    text = section("## 3.", "## 4.")
    for heading, enum in (("Account kinds", AccountKind), ("Reasons", Reason)):
        listed = re.search(rf"^{heading}: (.+?)\.(?: |$)", text, re.MULTILINE)
        assert listed
        found = re.findall(r"(\d) ([A-Z_]+)", listed[1])
        assert [(int(number), name) for number, name in found] == [(int(each), each.name) for each in enum]
    roles = ", ".join(f"{role.value} {role.name.lower()}" for role in Role)
    assert f"`first` 1–{len(Role)}: role, {roles}" in LEDGER
    assert f"`first` 1–{len(AccountKind)}: account kind" in LEDGER
    assert LEDGER.count(f"`first` 1–{len(Reason)}: the reason") == 3


def test_purposes_have_the_documented_numbers() -> None:
    cells = re.findall(r"\| ([A-Z_]+) \| (\d+) (?=\|)", section("| purpose | no. |", "## 7."))
    assert {name: int(number) for name, number in cells} == {each.name: int(each) for each in Purpose}
    assert len(cells) == len(Purpose)


def test_states_have_the_documented_numbers() -> None:
    for where, enum in (
        (("## 5.", "## 6."), PurseState),
        (("## 7.", "## 8."), HoldState),
        (("## 8.", "## 9."), TransitState),
    ):
        *others, last = numbered(enum)
        assert f"{', '.join(others)} or {last}" in section(*where)


@pytest.mark.parametrize(
    ("kind", "meaning", "flags"),
    [
        ("PAY", "`flags`: 1 purses only, 2 own money only", [PayFlag.PURSES_ONLY, PayFlag.OWN_ONLY]),
        (
            "HOLD",
            "`flags`: 1 and 2 as PAY, 4 three-party, 8 hash-locked; `reference` with flag 4: the third account; `hash`",
            [HoldFlag.PURSES_ONLY, HoldFlag.OWN_ONLY, HoldFlag.THREE_PARTY, HoldFlag.HASH_LOCKED],
        ),
        (
            "POST",
            "`flags`: 1 release the rest, 2 with secret; `secret` with flag 2",
            [PostFlag.RELEASE_REST, PostFlag.PREIMAGE],
        ),
        ("SEND", "`flags`: 1 up to this amount", [SendFlag.UP_TO]),
        ("SETTLE", "`flags`: 1 discard", [SettleFlag.DISCARD]),
    ],
)
def test_flags_have_the_documented_numbers(kind: str, meaning: str, flags: list[int]) -> None:
    ((taken, fields),) = ([taken, fields] for name, _, taken, fields in kinds() if name.removesuffix(" ⛓") == kind)
    assert meaning in fields
    assert [*flags] == [int(flag) for flag in taken.split(", ") if int(flag).bit_count() == 1]
    assert flags == [1 << bit for bit in range(len(flags))]


def test_flags_of_rule_sets_and_keys_have_the_documented_numbers() -> None:
    assert "`flags`: 1 no persons, 2 no cash-out, 4 final, 8 bytes 40–47 are `payment_min`" in section("## 4.", "## 5.")
    named = [RuleFlag.NO_PERSONS, RuleFlag.NO_CASH_OUT, RuleFlag.FINAL, RuleFlag.PAYMENT_MIN]
    assert [*RuleFlag] == named == [1, 2, 4, 8]
    assert "1 Ed25519, 2 ECDSA P-256 (the key's x, big-endian), 4 with 2: its y is odd" in section("## 1.", "## 2.")
    assert [*KeyFlag] == [KeyFlag.ED25519, KeyFlag.P256, KeyFlag.Y_ODD] == [1, 2, 4]


# --- layouts ---


def ranges_of(dtype: np.dtype) -> dict[str, tuple[int, int]]:
    """Return the first and last byte of each field; the halves of an id are one field."""
    found: dict[str, tuple[int, int]] = {}
    for name in dtype.names or ():
        field, offset = dtype.fields[name][:2]  # type: ignore[index]
        whole = name.removesuffix("_low").removesuffix("_high")
        start = found[whole][0] if whole in found else offset
        found[whole] = (start, offset + field.itemsize - 1)
    return found


def documented_bytes(start: str, end: str) -> dict[str, tuple[int, int]]:
    """Return the first and last byte of each field in a table of ledger.md, and compare the size of its type."""
    cells = re.findall(r"(\d+)–(\d+) \| ((?:\d+ (?:× )?)?\w+) \| `(\w+)`", section(start, end))
    sizes = {"u16": 2, "u32": 4, "i64": 8, "id": 16, "4 × u16": 8}
    for first, last, kind, name in cells:
        size = sizes[kind] if kind in sizes else int(kind.removesuffix(" bytes"))
        assert size == int(last) - int(first) + 1, name
    return {name: (int(first), int(last)) for first, last, _, name in cells}


def record_types() -> list[str]:
    """Return the names of all record types of the layout."""
    return sorted(name for name, value in vars(layout).items() if isinstance(value, np.dtype))


def test_the_operation_has_the_documented_bytes() -> None:
    assert documented_bytes("## 1.", "In some kinds") == ranges_of(layout.OPERATION)


def test_a_rule_set_has_the_documented_bytes() -> None:
    documented = documented_bytes("## 4.", "## 5.")
    assert documented.pop("payment_min") == documented["refund_reserve"]  # one or the other, by flag 8
    assert documented == ranges_of(layout.RULE_SET_OPERATION)
    assert layout.RULE_SET_OPERATION["groups"].shape == (4,)
    assert "| 4 × u16 | `groups` |" in LEDGER


def test_members_have_the_documented_bytes() -> None:
    shared = documented_bytes("In some kinds", "| kind | no. |")
    starts = [8 * word for word in layout.MEMBER_WORDS]
    assert [shared[f"member_{number}"] for number in range(1, 6)] == [(at, at + 15) for at in starts]


def test_keys_hashes_and_secrets_have_the_documented_bytes() -> None:
    shared = documented_bytes("In some kinds", "| kind | no. |")
    for word, name in ((layout.KEY_WORD, "key"), (layout.HASH_WORD, "hash"), (layout.SECRET_WORD, "secret")):
        assert shared[name] == (8 * word, 8 * word + 31)


def test_a_movement_is_documented_field_by_field() -> None:
    sentence = (
        "debit row u32, credit row u32, amount, both balances after it, the number of the previous movement of each "
        "row (0 for none), place u64, purpose u16, leg u16, 4 reserved"
    )
    assert sentence in LEDGER
    assert layout.MOVEMENT.itemsize == 64
    assert [(name, layout.MOVEMENT[name].str) for name in layout.MOVEMENT.names or ()] == [
        ("debit_row", "<u4"),
        ("credit_row", "<u4"),
        ("amount", "<i8"),
        ("debit_balance", "<i8"),
        ("credit_balance", "<i8"),
        ("debit_previous", "<i8"),
        ("credit_previous", "<i8"),
        ("place", "<u8"),
        ("purpose", "<u2"),
        ("leg", "<u2"),
        ("reserved", "<u4"),
    ]


@pytest.mark.parametrize("name", record_types())
def test_records_have_no_padding_and_no_overlap(name: str) -> None:
    dtype = getattr(layout, name)
    covered = [at for first, last in sorted(ranges_of(dtype).values()) for at in range(first, last + 1)]
    assert covered == list(range(dtype.itemsize))


def test_digested_rows_are_packed() -> None:
    from sycee.ledger import digest  # local import: this module imports the kernels

    packed = {name: value for name, value in vars(digest).items() if isinstance(value, np.dtype) and value.names}
    assert len(packed) >= 3
    for name, dtype in packed.items():
        assert sum(dtype[field].itemsize for field in dtype.names) == dtype.itemsize, name
