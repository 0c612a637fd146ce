"""Steps of random histories, first half: definitions, accounts, roles, programmes, plain payments.

A step returns the fields of one operation. Most steps use the guide to succeed, some aim at one refusal, some at none.
"""

from __future__ import annotations

from typing import Any

from sycee.core.records.layout import AccountKind, Kind, PurseState, Role
from sycee.testing.histories_stage import Stage
from sycee.testing.histories_world import (
    ACCOUNT_RULES,
    AMOUNTS,
    ANN,
    BANK,
    BOB,
    BRIEF,
    CAFE,
    CAT,
    CURRENCIES,
    FUNDER,
    HUGE_AMOUNTS,
    ISSUANCE,
    NARROW,
    NEW_ACCOUNTS,
    OTHER_WAY,
    PERSONS,
    RESERVE,
    RETURN,
    SHOP,
    SHOPS,
    STRANGER,
    SUSPENSE,
    WAY,
    Dice,
    account_id,
    capped,
    member_id,
)
from sycee.testing.naive_rows import Account, Pay

KEYS = (b"\x01" * 32, b"\x02" + bytes(31), bytes(31) + b"\x03")
PAYS = (Kind.PAY, Kind.POST, Kind.HOLD)  # a hold, if POST_HOLDS posted it
PEOPLE = (901, 902 << 64 | 5, 903)


class PlainSteps(Stage):
    """Fields of operations without holds, transits and batches."""

    # ── Choices ──────────────────────────────────────────────────────────────────────────────────────────────

    def _account(self, dice: Dice, *numbers: int) -> int:
        """Return mostly one of these accounts; sometimes any, foreign, transit or unknown account."""
        number = dice.pick(numbers)
        strange = dice.below(90)
        if strange == 89:
            number = STRANGER
        elif strange in (87, 88):
            number = dice.below(20)
        elif strange == 86:
            number = WAY
        currency = 1 if strange == 85 else 0
        return account_id(currency, number) if dice.one_in(12) else self._who(number, currency)

    def _other(self, dice: Dice, than: int, *numbers: int) -> int:
        """Return one of these accounts, mostly different from `than`."""
        id = self._account(dice, *numbers)
        if id == than and not dice.one_in(10):
            return next((other for other in map(self._who, numbers) if other != than), id)
        return id

    def _accounts_where(self, dice: Dice, chosen: list[Account]) -> int | None:
        """Return, two times in three, one of the accounts that fulfil the condition, if there are any."""
        return dice.newest(chosen).id if dice.below(3) < 2 and chosen else None

    def _amount(self, dice: Dice, debit: int) -> int:
        how = dice.below(16)
        if how in (10, 11) and debit in self._guide.accounts and self._guide.accounts[debit].available > 0:
            return self._guide.accounts[debit].available
        if how == 15 or (how > 11 and self._huge is not None):
            return dice.pick(HUGE_AMOUNTS)
        return dice.pick(AMOUNTS)

    def _programme(self, dice: Dice) -> int:
        if self._seasons and dice.below(4) < 3:
            return max(self._seasons)
        return dice.pick((1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 4))

    # ── Definitions ──────────────────────────────────────────────────────────────────────────────────────────

    def _step_define_currency(self, dice: Dice) -> dict[str, Any]:
        number = dice.pick((*CURRENCIES, dice.below(200) + 1))
        return {"number": number, "zone": dice.pick(("Asia/Shanghai", "UTC", "Europe/Zurich", ""))}

    def _step_define_group(self, dice: Dice) -> dict[str, Any]:
        return {"number": dice.pick((4, 1, 4_096, 2, 5))}

    def _step_join_group(self, dice: Dice) -> dict[str, Any]:
        return {"number": dice.pick((1, 2, 3, 4, 4_096)), "debit": self._account(dice, SHOP, CAFE, BOB)}

    _step_leave_group = _step_join_group

    def _step_define_rule_set(self, dice: Dice) -> dict[str, Any]:
        number = dice.pick((PERSONS, SHOPS, 4, 5, 1, 2, 3, 6, NARROW, BRIEF))
        fields = self._rules(number)
        if number in self._guide.rule_sets and not dice.one_in(6):
            # A scheduled version allows more or less than the current one.
            fields["effective_ns"] = self._ns(self._ticks + dice.pick((1, 3, 0, 8)))
            fields |= {"single_max": dice.pick((0, 20, 100)), "balance_max": dice.pick((0, 60, 300))}
            fields |= {"day_max": dice.pick((0, 40, 200)), "refund_reserve": dice.pick((0, 30))}
            fields |= {"flags": dice.pick((0, 1, 2, 4, 8, 2)), "refund_window_s": dice.pick((0, 1))}
        elif dice.one_in(8):
            fields["effective_ns"] = self._ns(self._ticks + dice.pick((1, -1)))
        strange = dice.below(14)
        if strange in (10, 11):
            fields["return_account"] = 0
        elif strange == 12:
            fields["return_account"] = account_id(0, dice.pick((STRANGER, WAY)))
        elif strange == 13:
            fields["groups"] = (1, dice.pick((4, 4_096, 77)))
        if dice.one_in(12):
            fields["until_ns"] += 1
        if dice.one_in(24):
            fields["month_max"] = -1
        return fields

    def _step_grant_role(self, dice: Dice) -> dict[str, Any]:
        role = 0 if dice.one_in(24) else dice.pick((1, 1, 1, *Role))
        at = dice.below(len(PEOPLE))
        key = bytes(32) if dice.one_in(24) else dice.pick(KEYS) if dice.one_in(6) else KEYS[at]
        start = dice.pick((-5, 0, -5, 5))
        end = start if dice.one_in(24) else start + dice.pick((200, 15, 60))
        fields = {"debit": PEOPLE[at], "key": key, "flags": dice.pick((1, 2, 6, 1, 1, 1)), "first": role}
        if (role == Role.OFFICER and dice.one_in(4)) or dice.one_in(30):
            fields["number"] = dice.pick((*CURRENCIES, 7, 1_000)) if dice.one_in(6) else dice.pick(CURRENCIES)
        if role == Role.OPERATOR or dice.one_in(20):
            fields["count"] = 9
        return {**fields, "from_ns": self._ns(start), "until_ns": self._ns(end)}

    def _step_revoke_role(self, dice: Dice) -> dict[str, Any]:
        granted = list(self._guide.grants)
        return {"reference": dice.newest(granted) if granted and not dice.one_in(8) else 999_999}

    def _step_upgrade(self, dice: Dice) -> dict[str, Any]:
        number = 0 if dice.one_in(20) else max(1, self._guide.rules + dice.pick((1, 0, 2, -1)))
        return {"number": number, "release": "" if dice.one_in(20) else dice.pick(("0.3.0", "4"))}

    # ── Accounts ─────────────────────────────────────────────────────────────────────────────────────────────

    def _step_open_account(self, dice: Dice) -> dict[str, Any]:
        currency = dice.pick((0, 0, 0, 1))
        kind = dice.pick((AccountKind.WALLET, AccountKind.MERCHANT, *AccountKind))
        fresh = 20 + len(self._guide.accounts) % 57
        fields = self._opening(currency, dice.pick((*NEW_ACCOUNTS, fresh, fresh, ANN, SHOP, ISSUANCE, SUSPENSE)), kind)
        if dice.one_in(12):
            fields["first"] = dice.pick((0, 9, 65_536))
        if fields["credit"] and dice.one_in(4):
            fields["credit"] = self._account(dice, SUSPENSE, ANN, STRANGER)
        if dice.one_in(6):
            fields["number"] = dice.pick((CURRENCIES[1 - currency], 1, 999))
        fields["rule_set"] = dice.pick((0, 0, PERSONS, SHOPS, 65_535))
        if dice.one_in(8):
            fields["count"] = dice.pick((0, 8))
        return fields

    def _step_block_account(self, dice: Dice) -> dict[str, Any]:
        debit = self._account(dice, self._returns_to, ANN, SHOP, BOB, CAFE, FUNDER, RETURN, SUSPENSE, BANK, WAY)
        return {"debit": debit, "flags": dice.pick((2, 1, 2, 3, 2, 1, 0)), "first": dice.pick((1, 2, 7, 1, 3, 1, 8))}

    def _step_unblock_account(self, dice: Dice) -> dict[str, Any]:
        blocked = [a for a in self._guide.accounts.values() if a.debit_reasons or a.credit_reasons]
        id = self._accounts_where(dice, blocked)
        if id is None:
            return {"debit": self._account(dice, ANN, SHOP, SUSPENSE), "flags": 3, "first": dice.pick((1, 5, 0))}
        account = self._guide.accounts[id]
        reasons = account.debit_reasons | account.credit_reasons
        return {"debit": id, "flags": dice.pick((3, 3, 2, 1)), "first": reasons.bit_length()}

    def _step_close_account(self, dice: Dice) -> dict[str, Any]:
        empty = [a for _, a in sorted(self._guide.accounts.items()) if (a.balance, a.credits_pending) == (0, 0)]
        debit = self._accounts_where(dice, empty)
        if debit is None:
            debit = self._account(dice, ANN, self._returns_to, CAFE, BOB, RETURN, SUSPENSE, ISSUANCE, WAY, BANK)
        return {"debit": debit, "first": 0 if dice.one_in(20) else dice.pick((1, 3, 7))}

    def _step_set_rule_set(self, dice: Dice) -> dict[str, Any]:
        numbers = (0, *ACCOUNT_RULES, 0, PERSONS, SHOPS, 1, 65_535)
        debit = self._account(dice, ANN, SHOP, BOB, CAFE, CAT, BANK, ISSUANCE, FUNDER)
        return {"debit": debit, "rule_set": 65_536 if dice.one_in(30) else dice.pick(numbers)}

    def _step_set_key(self, dice: Dice) -> dict[str, Any]:
        flags = dice.pick((1, 2, 6, 0, 1, 2, 3))
        key = dice.pick(KEYS) if flags and not dice.one_in(12) else b""
        return {"debit": self._account(dice, ANN, SHOP, BOB), "flags": flags, "key": key}

    def _step_link_account(self, dice: Dice) -> dict[str, Any]:
        if dice.one_in(3):
            debit, credit = self._account(dice, WAY, OTHER_WAY), self._account(dice, BANK, RETURN, ANN, WAY)
        else:
            debit = self._account(dice, ANN, SHOP, BOB, CAT, CAFE)
            credit = self._account(dice, WAY, WAY, OTHER_WAY, BANK)
        return {"debit": debit, "credit": 0 if dice.one_in(8) else credit}

    # ── Programmes ───────────────────────────────────────────────────────────────────────────────────────────

    def _step_open_programme(self, dice: Dice) -> dict[str, Any]:
        programme = dice.pick((4, 5, 3, 4, 5, 1, 2))
        fields = self._opening_programme(programme)
        if fields["rule_set"] not in self._guide.rule_sets and self._guide.rule_sets and not dice.one_in(6):
            fields["rule_set"] = dice.pick(sorted(self._guide.rule_sets))
        strange = dice.below(8)
        if strange == 7:
            fields["debit"] = self._account(dice, ANN, STRANGER, FUNDER, WAY)
        elif strange in (5, 6):
            fields["rule_set"] = dice.pick((1, 2, 4, 5, 65_535))
        return fields

    def _step_add_members(self, dice: Dice) -> dict[str, Any]:
        number = self._unsealed_programme(dice)
        programme = self._guide.programmes.get(number)
        first = programme.filled if programme is not None else 0
        return self._chunk(number, dice.pick((first, first, first, first, 0, 1, 5, 1 << 31)))

    def _step_seal_cohort(self, dice: Dice) -> dict[str, Any]:
        number = self._unsealed_programme(dice)
        return {"number": number, "digest": bytes(32) if dice.one_in(3) else self._digest(number)}

    def _unsealed_programme(self, dice: Dice) -> int:
        unsealed = [number for number, programme in self._guide.programmes.items() if not programme.sealed]
        return dice.pick(unsealed) if unsealed and not dice.one_in(8) else dice.pick((4, 1, 2, 3))

    def _step_drop(self, dice: Dice) -> dict[str, Any]:
        number = self._programme(dice)
        programme = self._guide.programmes.get(number)
        seal = programme.seal if programme is not None and not dice.one_in(12) else 0
        amount = self._amount(dice, self._who(FUNDER))
        return {**self._range(number, dice), "amount": amount, "reference": seal or 1}

    def _step_claim(self, dice: Dice) -> dict[str, Any]:
        number = 3 if self._crowded and dice.below(2) else self._programme(dice)
        fields = self._claim_of(number, dice.below(self._size(number) + (2 if dice.one_in(4) else 0)), ANN)
        if dice.below(2) == 0:
            dropped = [p for p in self._guide.purses.values() if p.state is PurseState.DROPPED]
            waiting = [p.member for p in dropped if p.programme == number]
            if waiting:
                fields = self._claim_of(number, dice.pick(waiting), ANN)
        # Three of four go to a wallet of the programme's currency, most of these to Ann.
        if dice.below(4) == 3:
            fields["credit"] = self._account(dice, BOB, CAT, ANN)
        if dice.one_in(12):
            fields["reference"] = member_id(number, 99)
        return fields

    def _step_expire(self, dice: Dice) -> dict[str, Any]:
        return self._range(self._programme(dice), dice)

    def _range(self, number: int, dice: Dice) -> dict[str, Any]:
        size = self._size(number)
        first = dice.pick((0, 0, 0, dice.below(size)))
        count = 0 if dice.one_in(30) else dice.pick((size - first, max(1, (size - first) // 2), size - first, 1))
        return {"number": number, "first": first, "count": count + (1 if dice.one_in(16) else 0)}

    # ── Payments and refunds ─────────────────────────────────────────────────────────────────────────────────

    def _step_transfer(self, dice: Dice) -> dict[str, Any]:
        debit = self._account(dice, ANN, ISSUANCE, BOB, SHOP, CAT, FUNDER, SUSPENSE, ANN)
        credit = self._other(dice, debit, BOB, FUNDER, ANN, CAFE, SHOP, CAT, ISSUANCE, ANN, RESERVE)
        return {"debit": debit, "credit": credit, "amount": self._amount(dice, debit)}

    def _step_pay(self, dice: Dice) -> dict[str, Any]:
        debit = self._account(dice, ANN, ANN, BOB, ANN, CAT)
        credit = self._other(dice, debit, SHOP, CAFE, SHOP, SHOP, BOB, SUSPENSE, ANN, RESERVE)
        if self._currencies == 2 and dice.one_in(8):  # the other currency has separate purses
            debit, credit = account_id(1, ANN), account_id(1, CAFE)
        flags = dice.pick((0, 0, 0, 0, 0, 1, 2))
        return {"debit": debit, "credit": credit, "flags": flags, "amount": self._amount(dice, debit)}

    def _step_refund(self, dice: Dice) -> dict[str, Any]:
        return self._back(dice, self._open_pays())

    def _step_reverse(self, dice: Dice) -> dict[str, Any]:
        return self._back(dice, self._open_pays(transfers=True))

    def _back(self, dice: Dice, open_pays: list[tuple[int, Pay]]) -> dict[str, Any]:
        strange = dice.below(16)
        refused = [id for id, bound in self._guide.bound.items() if bound.kind in PAYS and not bound.result.ok]
        if strange == 13 and refused:
            return {"reference": dice.newest(refused), "amount": 1}
        if strange >= 14 or not open_pays:
            # Any of the newest operations: pays, refused pays and others; or none.
            known = [*self._guide.bound][-20:]
            return {
                "reference": 999_999 if strange == 14 or not known else dice.pick(known),
                "amount": dice.pick(AMOUNTS),
            }
        id, pay = dice.newest(open_pays)
        left = pay.amount - self._guide.refunded.get(id, 0)
        return {"reference": id, "amount": max(1, capped(dice.pick((left, left // 2, 1, left // 3, left, left + 1))))}

    def _open_pays(self, *, transfers: bool = False) -> list[tuple[int, Pay]]:
        """Return pays and posts (and transfers, on request) with a part that is not yet refunded."""
        return [
            (id, pay)
            for id, pay in self._guide.pays.items()
            if self._guide.refunded.get(id, 0) < pay.amount and (transfers or self._guide.bound[id].kind in PAYS)
        ]
