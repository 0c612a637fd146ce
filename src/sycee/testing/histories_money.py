"""Steps of random histories, second half: holds, transits, batches and chains."""

from __future__ import annotations

from typing import Any

from sycee.core.records.layout import LINKED, HoldState, Kind, TransitState
from sycee.testing.histories_steps import PlainSteps
from sycee.testing.histories_world import (
    AMOUNTS,
    ANN,
    BANK,
    BOB,
    CAFE,
    CAT,
    FUNDER,
    HASHES,
    HUGE_AMOUNTS,
    ISSUANCE,
    OPERATOR,
    OTHER_WAY,
    RESERVE,
    RETURN,
    SECRETS,
    SHOP,
    STRANGER,
    WAY,
    Dice,
    account_id,
    capped,
)
from sycee.testing.naive_record import LINKABLE
from sycee.testing.naive_rows import Hold

LAST_BATCH = (1 << 32) - 1


class Steps(PlainSteps):
    """Fields of every kind of operation, and whole chains."""

    # ── Holds ────────────────────────────────────────────────────────────────────────────────────────────────

    def _step_hold(self, dice: Dice) -> dict[str, Any]:
        fields = self._step_pay(dice)
        fields["until_ns"] = self._ns(
            self._ticks + (dice.pick((0, -1)) if dice.one_in(24) else dice.pick((12, 60, 25, 4, 200, 2)))
        )
        how = 12 if dice.one_in(40) else dice.pick((0, 0, 0, 4, 8, 0))
        fields["flags"] |= how
        if how == 4:
            fields["reference"] = self._account(dice, CAT, BANK, FUNDER, SHOP)
            if dice.one_in(10):
                fields["reference"] = account_id(0, STRANGER)
        elif how == 8:
            fields["hash"] = dice.pick(HASHES)
        return fields

    def _a_hold(self, dice: Dice) -> Hold | None:
        """Return a hold, mostly an open one."""
        holds = list(self._guide.holds.values())
        still = [hold for hold in holds if hold.state is HoldState.OPEN]
        if still and not dice.one_in(10):
            return dice.newest(still)
        return dice.newest(holds) if holds else None

    def _releaser(self, dice: Dice, hold: Hold) -> int:
        """Return the account that may post and void the hold, or sometimes another one."""
        if dice.one_in(10):
            return self._account(dice, ANN, BOB, CAFE, STRANGER)
        return hold.third or hold.payee

    def _step_post(self, dice: Dice) -> dict[str, Any]:
        hold = self._a_hold(dice)
        if hold is None:
            return {"reference": 999_999, "debit": self._who(SHOP), "amount": 1}
        held = max(1, hold.held)
        fields: dict[str, Any] = {
            "reference": hold.id,
            "debit": self._releaser(dice, hold),
            "flags": dice.pick((0, 0, 1)),
        }
        fields["amount"] = capped(max(1, dice.pick((held, held // 2, held, 1, held // 3, held + 1))))
        if hold.hash_locked != dice.one_in(12):
            fields["flags"] |= 2
            fields["secret"] = SECRETS[HASHES.index(hold.hash)] if hold.hash in HASHES else SECRETS[0]
            if dice.one_in(12):
                fields["secret"] = b"another"
        if hold.third == 0 and not hold.hash_locked and dice.one_in(4):
            fields["debit"] = hold.payer
        return fields

    def _step_void(self, dice: Dice) -> dict[str, Any]:
        hold = self._a_hold(dice)
        if hold is None:
            return {"reference": 999_999, "debit": self._who(SHOP)}
        return {"reference": hold.id, "debit": self._releaser(dice, hold)}

    def _step_extend(self, dice: Dice) -> dict[str, Any]:
        hold = self._a_hold(dice)
        if hold is None:
            return {"reference": 999_999, "debit": self._who(SHOP), "until_ns": 1}
        debit = self._account(dice, CAT, SHOP) if dice.one_in(8) else hold.payer
        until_ns = capped(hold.end_ns + dice.pick((3, 1, 20, 0, 5, -1)) * self._tick_ns)
        return {"reference": hold.id, "debit": debit, "until_ns": until_ns}

    def _step_post_holds(self, dice: Dice) -> dict[str, Any]:
        made = list(self._guide.holds)
        if not made or dice.one_in(12):
            return {"debit": 999_999, "credit": made[-1] if made else 1, "reference": self._who(SHOP)}
        last = max(0, len(made) - 1 - dice.below(4))
        first = max(0, last - dice.below(5))
        if dice.one_in(5) and last > 0:
            first, last = last, max(0, last - 1 - dice.below(3))
        hold = self._guide.holds[made[last]]
        return {"debit": made[first], "credit": made[last], "reference": self._releaser(dice, hold)}

    _step_void_holds = _step_post_holds

    # ── Transits ─────────────────────────────────────────────────────────────────────────────────────────────

    def _step_send(self, dice: Dice) -> dict[str, Any]:
        debit = self._account(dice, SHOP, BANK, ANN, BOB, BANK, CAFE, ISSUANCE)
        credit = self._other(dice, debit, BANK, ANN, CAT, RESERVE, BOB, RETURN)
        amount = self._amount(dice, debit)
        flags = dice.pick((0, 0, 0, 1, 1))
        if flags and dice.below(3) == 0:
            amount = dice.pick((1_000, 5_000, HUGE_AMOUNTS[4]))
        return {
            "debit": debit, "credit": credit, "reference": self._account(dice, WAY, WAY, OTHER_WAY),
            "amount": amount, "flags": flags,
        }  # fmt: skip

    def _step_confirm(self, dice: Dice) -> dict[str, Any]:
        sent = list(self._guide.transits.values())
        under_way = [transit for transit in sent if transit.state is TransitState.OPEN]
        if under_way and not dice.one_in(8):
            return {"reference": dice.newest(under_way).id}
        return {"reference": dice.newest(sent).id if sent and dice.below(3) < 2 else dice.pick((999_999, 1))}

    _step_reject = _step_confirm

    # ── Batches ──────────────────────────────────────────────────────────────────────────────────────────────

    def _step_stage(self, dice: Dice) -> dict[str, Any]:
        batches, new = self._guide.batches, self._guide.newest_batch + 1
        number = dice.newest(list(batches)) if batches and dice.below(4) < 3 else new
        if dice.one_in(12):
            number = dice.pick((1, 2, new + 1, LAST_BATCH))
        is_other = number in batches and batches[number].operator != OPERATOR
        givers = (CAT,) if is_other else (ANN, SHOP, BOB, FUNDER, BANK, CAFE)
        debit = self._account(dice, *((ANN, CAT) if dice.one_in(10) else givers))
        credit = self._other(dice, debit, SHOP, ANN, CAFE, BOB, CAT, BANK)
        if dice.one_in(4):
            debit, credit = account_id(1, dice.pick(givers)), account_id(1, dice.pick((CAFE, SHOP, ANN)))
        amount = dice.pick(HUGE_AMOUNTS) if dice.one_in(20) else dice.pick(AMOUNTS)
        return {"debit": debit, "credit": credit, "number": number, "amount": amount}

    def _step_settle(self, dice: Dice) -> dict[str, Any]:
        batches, new = self._guide.batches, self._guide.newest_batch + 1
        number = dice.newest(list(batches)) if batches and not dice.one_in(8) else dice.pick((1, new, LAST_BATCH))
        fields = {"number": number, "first": OPERATOR, "count": 1, "amount": 1, "flags": int(dice.one_in(8))}
        if number in batches:
            batch = batches[number]
            fields |= {"first": batch.operator, "count": len(batch.payments), "amount": batch.total}
            named = {id for payment in batch.payments for id in payment[:2]}
            if any(self._guide.accounts[id].closed for id in named) and not dice.one_in(3):
                fields["flags"] = 1  # otherwise it could never be settled
        if dice.one_in(7):
            wrong = dice.pick(("count", "amount", "first"))
            fields[wrong] = capped(fields[wrong] + 1)
        return fields

    # ── Chains ───────────────────────────────────────────────────────────────────────────────────────────────

    def _chain(self, dice: Dice) -> None:
        """Add a chain that mostly succeeds, and sometimes an operation that breaks it."""
        links = dice.pick((self._held, self._paid_on, self._any_links, self._sent, self._any_links))(dice)
        wrong = dice.below(12)
        if wrong == 11:  # the id of an earlier operation
            links.append((Kind.TRANSFER, {"debit": self._who(BOB), "credit": self._who(CAT), "amount": 1}))
            links[-1][1]["id"] = self._next_id
        elif wrong == 10:  # a kind that cannot be linked, or a malformed record
            links.append((Kind.DEFINE_GROUP, {"number": dice.pick((9, 10, 0))}))
        elif wrong == 9:  # a refused operation
            links.insert(dice.below(len(links) + 1), (Kind.CONFIRM, {"reference": 999_999}))
        elif wrong == 8:  # a bound id
            known = list(self._guide.bound)
            links.insert(
                dice.below(len(links)), (Kind.VOID, {"id": dice.newest(known or [5]), "reference": 1, "debit": 1})
            )
        open_end = dice.one_in(12)
        for at, (kind, fields) in enumerate(links):
            if at < len(links) - 1 or open_end:
                fields["flags"] = fields.get("flags", 0) | LINKED
            self._emit(kind, **fields)
        if open_end and dice.below(3) < 2:
            self._pass(1)  # otherwise the next operation ends the chain

    def _held(self, dice: Dice) -> list[tuple[Kind, dict[str, Any]]]:
        """Hold money, post a part, and perhaps void the rest or refund some."""
        debit, credit = self._who(dice.pick((ANN, BOB))), self._who(dice.pick((SHOP, CAFE)))
        hold = {"debit": debit, "credit": credit, "amount": dice.pick((30, 10, 50)), "flags": dice.pick((0, 0, 1, 2))}
        hold["until_ns"] = self._ns(self._ticks + 5)
        first, second = self._ids(2)
        post = {"reference": first, "debit": credit, "amount": dice.pick((30, 10, 5, 20)), "flags": dice.pick((0, 1))}
        more: list[tuple[Kind, dict[str, Any]]] = [
            (Kind.VOID, {"reference": first, "debit": credit}),
            (Kind.REFUND, {"reference": second, "amount": 5}),
            (Kind.EXTEND, {"reference": first, "debit": debit, "until_ns": self._ns(self._ticks + 9)}),
            (Kind.REVERSE, {"reference": second, "amount": 3}),
        ]
        return [(Kind.HOLD, hold), (Kind.POST, post), *([dice.pick(more)] if dice.below(2) else [])]

    def _paid_on(self, dice: Dice) -> list[tuple[Kind, dict[str, Any]]]:
        """Pass money on from account to account, and perhaps return all of it."""
        amount = dice.pick((20, 40, 60))
        ann, bob, cat = (self._who(number) for number in (ANN, BOB, CAT))
        links: list[tuple[Kind, dict[str, Any]]] = [
            (Kind.TRANSFER, {"debit": ann, "credit": cat, "amount": amount}),
            (Kind.PAY, {"debit": cat, "credit": bob, "amount": amount}),
        ]
        if dice.below(2):
            links.append((Kind.REVERSE, {"reference": self._ids(2)[dice.below(2)], "amount": amount}))
        return links

    def _sent(self, dice: Dice) -> list[tuple[Kind, dict[str, Any]]]:
        """Send money, then confirm or reject it immediately."""
        fields = self._step_send(dice)
        done = dice.pick((Kind.CONFIRM, Kind.REJECT))
        return [(Kind.SEND, fields), (done, {"reference": self._ids(1)[0]})]

    def _any_links(self, dice: Dice) -> list[tuple[Kind, dict[str, Any]]]:
        kinds = [dice.pick(LINKABLE) for _ in range(dice.pick((2, 1, 3)))]
        return [(kind, getattr(self, f"_step_{kind.name.lower()}")(dice)) for kind in kinds]

    def _ids(self, count: int) -> list[int]:
        """Return the ids of the next operations of this frame."""
        ids, id = [], self._next_id
        for at in range(count):
            ids.append(id)
            id = self._id_after(id, len(self._rows) + at + 1)
        return ids
