"""How each verb of a table becomes the record of an operation. tests/ledger/table.py lists the verbs."""

from __future__ import annotations

import hashlib
from hashlib import blake2b

import numpy as np

from sycee.core.arrays import Array
from sycee.core.ids import ID
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind, Block, KeyFlag, PayFlag, Reason, Role, RuleFlag, SettleFlag

SIDES = {"debit": Block.DEBIT, "credit": Block.CREDIT, "both": Block.DEBIT | Block.CREDIT, "none": Block(0)}
FLAGS = {"": 0, "purses": PayFlag.PURSES_ONLY, "own": PayFlag.OWN_ONLY}
RULE_FLAGS = {"persons": RuleFlag.NO_PERSONS, "cash": RuleFlag.NO_CASH_OUT, "final": RuleFlag.FINAL}
KEY_FLAGS = {"ed25519": KeyFlag.ED25519, "p256": KeyFlag.P256, "odd": KeyFlag.P256 | KeyFlag.Y_ODD}
MAXIMA = {
    "balance": "balance_max", "single": "single_max", "day": "day_max", "month": "month_max", "year": "year_max",
    "reserve": "refund_reserve", "window": "refund_window_s", "effective": "effective_ns",
    "least": "payment_min",
}  # fmt: skip


def id_of(name: str) -> int:
    """The id behind a name; "0" is the id zero."""
    return 0 if name == "0" else int.from_bytes(blake2b(name.encode(), digest_size=16).digest(), "little")


def secret_of(name: str) -> bytes:
    """The 32 bytes behind the name of a secret or of a key; "0" is 32 zero bytes."""
    return bytes(32) if name == "0" else blake2b(name.encode(), digest_size=32).digest()


def member_ids(names: list[str]) -> Array:
    """(m,) ID."""
    return np.array([(id_of(name) & (1 << 64) - 1, id_of(name) >> 64) for name in names], ID)


def amount_of(text: str) -> int:
    """A sum of numbers and powers of two, such as 5, -1_000 or 2^63-1."""
    total = 0
    for part in text.replace("-", " -").replace("+", " ").split():
        digits = part.lstrip("-")
        amount = 1 << int(digits.removeprefix("2^")) if "^" in digits else int(digits)
        total += -amount if part != digits else amount
    return total


def range_of(text: str) -> tuple[int, int]:
    """FIRST..END as (first, count)."""
    first, end = map(int, text.split(".."))
    return first, end - first


class Verbs:
    """One method per verb: the words of a line in, its record out."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}  # of accounts, for messages
        self.cohorts: dict[str, list[str]] = {}
        self.seals: dict[str, str] = {}  # programme -> name of its seal

    def account(self, name: str) -> int:
        self.names[id_of(name)] = name
        return id_of(name)

    def record(self, line: str) -> Array:
        """The record of a line without playing it; its id is 1 unless the line has another."""
        verb, *words = line.split()
        options = dict(word.split("=", 1) for word in words if "=" in word)
        id = id_of(options.pop("id")) if "id" in options else 1
        record: Array = getattr(self, f"_do_{verb}")(id, *(word for word in words if "=" not in word), **options)
        return record

    # --- what there is ---

    def _do_currency(self, id: int, number: str, zone: str) -> Array:
        return operations.define_currency(id, currency=int(number), zone=zone)

    def _do_group(self, id: int, number: str) -> Array:
        return operations.define_group(id, group=int(number))

    def _do_join(self, id: int, number: str, account: str) -> Array:
        return operations.join_group(id, group=int(number), account=self.account(account))

    def _do_leave(self, id: int, number: str, account: str) -> Array:
        return operations.leave_group(id, group=int(number), account=self.account(account))

    def _do_rules(
        self, id: int, number: str, *, until: str = "2^62", groups: str = "", flags: str = "", **options: str
    ) -> Array:
        back = options.pop("return", "")
        from_ns = amount_of(options.pop("from", "0"))
        return operations.define_rule_set(
            id,
            rule_set=int(number),
            groups=[int(group) for group in groups.split(",") if group],
            flags=sum(RULE_FLAGS[flag] for flag in flags.split(",") if flag),
            from_ns=from_ns,
            until_ns=amount_of(until),
            return_account=self.account(back) if back else 0,
            **{MAXIMA[name]: amount_of(most) for name, most in options.items()},
        )

    def _do_grant(
        self, id: int, person: str, role: str, *, key: str = "", flags: str = "ed25519", operator: str = "0",
        currency: str = "0", **window: str,
    ) -> Array:  # fmt: skip
        return operations.grant_role(
            id,
            person=id_of(person),
            role=Role[role],
            key=secret_of(key or person),
            flags=int(KEY_FLAGS[flags]),
            from_ns=amount_of(window.get("from", "0")),
            until_ns=amount_of(window.get("until", "2^62")),
            operator=int(operator),
            currency=int(currency),
        )

    def _do_revoke(self, id: int, grant: str) -> Array:
        return operations.revoke_role(id, grant=id_of(grant))

    def _do_upgrade(self, id: int, number: str, release: str = "release") -> Array:
        return operations.upgrade(id, rules=int(number), release=release)

    # --- accounts ---

    def _do_open(
        self, id: int, account: str, kind: str, *, currency: str = "156", suspense: str = "suspense", rules: str = "0",
        operator: str = "1",
    ) -> Array:  # fmt: skip
        own = AccountKind[kind] in (AccountKind.ISSUANCE, AccountKind.SUSPENSE)
        return operations.open_account(
            id,
            account=self.account(account),
            currency=int(currency),
            kind=AccountKind[kind],
            suspense=0 if own else self.account(suspense),
            operator=int(operator),
            rule_set=int(rules),
        )

    def _do_block(self, id: int, account: str, sides: str, reason: str = "OPERATOR") -> Array:
        return operations.block_account(id, account=self.account(account), sides=SIDES[sides], reason=Reason[reason])

    def _do_unblock(self, id: int, account: str, sides: str, reason: str = "OPERATOR") -> Array:
        return operations.unblock_account(id, account=self.account(account), sides=SIDES[sides], reason=Reason[reason])

    def _do_close(self, id: int, account: str, reason: str = "REQUEST") -> Array:
        return operations.close_account(id, account=self.account(account), reason=Reason[reason])

    def _do_setrules(self, id: int, account: str, number: str) -> Array:
        return operations.set_rule_set(id, account=self.account(account), rule_set=int(number))

    def _do_key(self, id: int, account: str, key: str, flags: str = "ed25519") -> Array:
        if key == "none":
            return operations.set_key(id, account=self.account(account))
        return operations.set_key(id, account=self.account(account), key=secret_of(key), flags=int(KEY_FLAGS[flags]))

    def _do_link(self, id: int, account: str, to: str) -> Array:
        return operations.link_account(id, account=self.account(account), to=0 if to == "none" else self.account(to))

    # --- programmes ---

    def _do_programme(
        self, id: int, number: str, funder: str, count: str, *, rules: str = "", claim: str = "0..1000000"
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

    def _do_members(self, id: int, number: str, *names: str, first: str | None = None) -> Array:
        records = operations.add_members(id, programme=int(number), members=member_ids([*names]))
        cohort = self.cohorts.setdefault(number, [])
        if first is None:
            records["first"] = len(cohort)
            cohort.extend(names)
        else:
            records["first"] = int(first)
        return records

    def _do_seal(self, id: int, number: str, *names: str) -> Array:
        digest = operations.cohort_digest(member_ids([*names] or self.cohorts.get(number, [])))
        return operations.seal_cohort(id, programme=int(number), digest=digest)

    def _do_drop(self, id: int, number: str, members: str, amount: str, *, seal: str | None = None) -> Array:
        first, count = range_of(members)
        return operations.drop(
            id,
            programme=int(number),
            first=first,
            count=count,
            amount=amount_of(amount),
            seal=id_of(seal or self.seals.get(number, "no seal")),
        )

    def _do_claim(self, id: int, number: str, name: str, wallet: str, *, member: str = "") -> Array:
        return operations.claim(
            id,
            programme=int(number),
            member=int(member) if member else self.cohorts[number].index(name),
            member_id=id_of(name),
            wallet=self.account(wallet),
        )

    def _do_expire(self, id: int, number: str, members: str) -> Array:
        first, count = range_of(members)
        return operations.expire(id, programme=int(number), first=first, count=count)

    # --- money ---

    def _do_transfer(self, id: int, debit: str, credit: str, amount: str) -> Array:
        return operations.transfer(id, debit=self.account(debit), credit=self.account(credit), amount=amount_of(amount))

    def _do_pay(self, id: int, payer: str, payee: str, amount: str, flags: str = "") -> Array:
        return operations.pay(
            id,
            payer=self.account(payer),
            payee=self.account(payee),
            amount=amount_of(amount),
            flags=int(FLAGS[flags]),
        )

    def _do_refund(self, id: int, original: str, amount: str) -> Array:
        return operations.refund(id, original=id_of(original), amount=amount_of(amount))

    def _do_reverse(self, id: int, original: str, amount: str) -> Array:
        return operations.reverse(id, original=id_of(original), amount=amount_of(amount))

    def _do_hold(
        self, id: int, payer: str, payee: str, amount: str, flags: str = "", *, until: str, third: str = "",
        lock: str = "",
    ) -> Array:  # fmt: skip
        return operations.hold(
            id,
            payer=self.account(payer),
            payee=self.account(payee),
            amount=amount_of(amount),
            until_ns=amount_of(until),
            flags=int(FLAGS[flags]),
            third=self.account(third) if third else 0,
            hash_lock=hashlib.sha256(secret_of(lock)).digest() if lock else b"",
        )

    def _do_post(self, id: int, hold: str, by: str, amount: str, rest: str = "", *, secret: str = "") -> Array:
        return operations.post(
            id,
            hold=id_of(hold),
            by=self.account(by),
            amount=amount_of(amount),
            release_rest=rest == "rest",
            secret=secret_of(secret) if secret else None,
        )

    def _do_void(self, id: int, hold: str, by: str) -> Array:
        return operations.void(id, hold=id_of(hold), by=self.account(by))

    def _do_extend(self, id: int, hold: str, by: str, until: str) -> Array:
        return operations.extend(id, hold=id_of(hold), by=self.account(by), until_ns=amount_of(until))

    def _do_postholds(self, id: int, first: str, last: str, by: str) -> Array:
        return operations.post_holds(id, first=id_of(first), last=id_of(last), by=self.account(by))

    def _do_voidholds(self, id: int, first: str, last: str, by: str) -> Array:
        return operations.void_holds(id, first=id_of(first), last=id_of(last), by=self.account(by))

    def _do_send(
        self, id: int, source: str, destination: str, amount: str, up_to: str = "", *, via: str = "way"
    ) -> Array:
        return operations.send(
            id,
            source=self.account(source),
            destination=self.account(destination),
            through=self.account(via),
            amount=amount_of(amount),
            up_to=up_to == "upto",
        )

    def _do_confirm(self, id: int, sent: str) -> Array:
        return operations.confirm(id, sent=id_of(sent))

    def _do_reject(self, id: int, sent: str) -> Array:
        return operations.reject(id, sent=id_of(sent))

    def _do_stage(self, id: int, batch: str, debit: str, credit: str, amount: str) -> Array:
        return operations.stage(
            id,
            batch=amount_of(batch),
            debit=self.account(debit),
            credit=self.account(credit),
            amount=amount_of(amount),
        )

    def _do_settle(self, id: int, batch: str, count: str, total: str, *, operator: str = "1") -> Array:
        return operations.settle(
            id, batch=amount_of(batch), payments=int(count), total=amount_of(total), operator=int(operator)
        )

    def _do_discard(self, id: int, batch: str, count: str, total: str, *, operator: str = "1") -> Array:
        record = self._do_settle(id, batch, count, total, operator=operator)
        record["flags"] = SettleFlag.DISCARD
        return record
