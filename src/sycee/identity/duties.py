"""Duties of persons, the actions that each may request, and the duties that one person may not have together.

Pure tables: `docs/reference/duties.md` is made from them. A duty allows a person to *request* an action. Whose
signature moves money is decided by the ledger alone (docs/reference/authority.md); `ledger` lists the signatures that
it requires.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sycee.core.errors import UsageError
from sycee.core.records.layout import Role
from sycee.core.typos import hint


class Duty(StrEnum):
    """Duty of a person."""

    OFFICER = "officer"
    CURRENCY_OFFICER = "currency-officer"
    OPERATOR = "operator"
    CLERK = "clerk"
    COMPLIANCE = "compliance"
    PRIVACY = "privacy"
    CASEWORKER = "caseworker"
    CLOSER = "closer"
    COUNTERSIGNER = "countersigner"
    AUDITOR = "auditor"
    WITNESS = "witness"
    MERCHANT = "merchant"
    CITIZEN = "citizen"


MEANINGS: Final[dict[Duty, str]] = {
    Duty.OFFICER: "of the issuer's board: money, roles, limits, reversals",
    Duty.CURRENCY_OFFICER: "issuer of one currency of the clearing house: its money, its lines, its corridors",
    Duty.OPERATOR: "signs for one operator of the second tier, or for the issuer's own accounts (operator 0 and 1)",
    Duty.CLERK: "serves customers of one operator; signs nothing that moves money",
    Duty.COMPLIANCE: "due diligence of institutions and owners",
    Duty.PRIVACY: "retention, deletion and orders about personal data",
    Duty.CASEWORKER: "complaints, disputes and errors",
    Duty.CLOSER: "closes the business day",
    Duty.COUNTERSIGNER: "checks the closed day and signs its pack",
    Duty.AUDITOR: "reads everything, changes nothing",
    Duty.WITNESS: "signs checkpoints",
    Duty.MERCHANT: "acts for one merchant: tills, refunds, reports",
    Duty.CITIZEN: "owner of a wallet",
}

# Duties that are roles of the ledger: a grant makes them, alone.
ROLES: Final[dict[Duty, Role]] = {
    Duty.OFFICER: Role.OFFICER,
    Duty.CURRENCY_OFFICER: Role.OFFICER,  # a grant with a currency
    Duty.OPERATOR: Role.OPERATOR,
    Duty.WITNESS: Role.WITNESS,
}
# Duties for one institution, which must be named.
OF_INSTITUTION: Final = frozenset({Duty.OPERATOR, Duty.CLERK, Duty.MERCHANT})
# Everybody has this duty for their own wallets and data; nobody appoints it.
OWN: Final = Duty.CITIZEN

STAFF: Final = frozenset(Duty) - {Duty.CITIZEN, Duty.MERCHANT, Duty.AUDITOR}

# Who serves the customers of an operator.
OPERATOR_STAFF: Final = (Duty.OPERATOR, Duty.CLERK)

# Pairs of duties that one person may not have at the same time.
APART: Final[frozenset[frozenset[Duty]]] = frozenset(
    {
        frozenset({Duty.OFFICER, Duty.OPERATOR}),
        frozenset({Duty.OFFICER, Duty.WITNESS}),
        frozenset({Duty.CURRENCY_OFFICER, Duty.OPERATOR}),
        frozenset({Duty.CURRENCY_OFFICER, Duty.WITNESS}),
        frozenset({Duty.CLOSER, Duty.COUNTERSIGNER}),
        frozenset({Duty.PRIVACY, Duty.CASEWORKER}),
        *(frozenset({Duty.AUDITOR, other}) for other in Duty if other not in (Duty.AUDITOR, Duty.CITIZEN)),
    }
)

# Signatures that the ledger requires; "" where the action writes no record. authority.md section 3 is exact.
TWO_OFFICERS: Final = "two officers"
TWO_OF_CURRENCY: Final = "two officers of the board, or of the currency"
TWO_OFFICERS_AND_OPERATOR: Final = "two officers, and the operator"
OFFICER: Final = "an officer"
OPERATOR: Final = "the operator, or an officer"
OWNING_OPERATOR: Final = "the operator"
TWO_OPERATORS: Final = "the operator, and the reserve desk"
OWNER: Final = "the owner of the account"
WITNESS: Final = "a witness"


@dataclass(frozen=True, slots=True)
class ActionRule:
    """The persons who may request one action, and those who must also sign it.

    - `checkers_min`: signers besides the maker, with a duty of `checkers`; 0: the action needs no proposal.
    - `own_operator`: a maker or checker with the duty OPERATOR, CLERK or MERCHANT acts for their own institution only.
    - `ledger`: the signatures that the ledger requires, in words; "" where no record is written.
    """

    name: str
    makers: frozenset[Duty]
    checkers: frozenset[Duty]
    checkers_min: int
    own_operator: bool
    ledger: str
    what: str

    @property
    def signers(self) -> frozenset[Duty]:
        """Return the duties whose holders may sign a proposal of this action."""
        return self.makers | self.checkers


def _rule(
    name: str,
    what: str,
    makers: Iterable[Duty],
    checkers: Iterable[Duty] = (),
    *,
    checks: int | None = None,
    own: bool = False,
    ledger: str = "",
) -> ActionRule:
    checking = frozenset(checkers)
    return ActionRule(name, frozenset(makers), checking, len(checking) and (checks or 1), own, ledger, what)


_D: Final = Duty
_BOARD: Final = (_D.OFFICER,)
_ISSUERS: Final = (_D.OFFICER, _D.CURRENCY_OFFICER)
_STAFF: Final = OPERATOR_STAFF
_BOARD_AND_STAFF: Final = (*_BOARD, *_STAFF)

_RULES: Final = (
    # people and institutions
    _rule("duty.appoint", "give a person a duty", _BOARD, _BOARD, ledger=TWO_OFFICERS),
    _rule("duty.dismiss", "end a person's duty", _BOARD, _BOARD, ledger=TWO_OFFICERS),
    _rule("institution.apply", "enter an institution, its owners and papers", (_D.OFFICER, *_STAFF), own=True),
    _rule(
        "institution.verify",
        "decide the due diligence of an institution",
        (_D.OFFICER, _D.COMPLIANCE),
        (_D.OFFICER, _D.COMPLIANCE),
    ),
    _rule(
        "merchant.verify",
        "decide the due diligence of a merchant",
        (_D.OPERATOR, _D.COMPLIANCE),
        (_D.OPERATOR, _D.COMPLIANCE),
        own=True,
    ),
    _rule(
        "merchant.settlement",
        "verify a merchant's settlement account",
        (_D.OPERATOR, _D.COMPLIANCE),
        (_D.OPERATOR, _D.COMPLIANCE),
        own=True,
    ),
    _rule("merchant.outlet", "open or close an outlet or till", (*_STAFF, _D.MERCHANT), own=True),
    _rule("key.set", "set the key of an account", (_D.OPERATOR,), own=True, ledger=OPERATOR),
    _rule("key.revoke", "remove the key of an account", (_D.OPERATOR, _D.OFFICER), own=True, ledger=OPERATOR),
    # access to the server
    _rule("client.register", "register a program that acts for a person who has a duty", _BOARD),
    _rule("client.revoke", "end a program's access", (_D.OFFICER, _D.OPERATOR), own=True),
    _rule("login.invite-staff", "give a person with a duty a code for a login", _BOARD),
    _rule(
        "login.invite", "give a customer or a merchant's person a code for a login", (_D.OFFICER, *_STAFF), own=True
    ),
    _rule("login.end", "end a person's logins and unused codes", (_D.OFFICER, *_STAFF), own=True),
    _rule(
        "login.recover", "let a person who lost every login, or has no phone, get another one", (_D.OFFICER, *_STAFF),
        (_D.OFFICER, _D.COMPLIANCE, _D.CASEWORKER, *_STAFF), own=True,
    ),
    _rule("login.recover-staff", "let a person with a duty who lost every login get another one", _BOARD, _BOARD),
    # issuance
    _rule("operator.join", "open an operator's accounts and give it a quota", _BOARD, _BOARD, ledger=TWO_OFFICERS),
    _rule(
        "operator.leave", "block, redeem and close an operator's accounts", _BOARD, _BOARD,
        ledger=TWO_OFFICERS_AND_OPERATOR,
    ),
    _rule(
        "reserves.credit", "record reserves from the settlement system", _BOARD, _BOARD, ledger=TWO_OFFICERS,
    ),
    _rule(
        "mint", "issue money against reserves", (_D.OFFICER, _D.OPERATOR), _BOARD, own=True,
        ledger=TWO_OFFICERS_AND_OPERATOR,
    ),
    _rule(
        "redeem", "take money back and return reserves", (_D.OPERATOR,), (_D.OPERATOR,), ledger=TWO_OPERATORS,
    ),
    _rule("cap.change", "change the daily maximum of minting", _BOARD, _BOARD, ledger=TWO_OFFICERS),
    _rule("quota.change", "change an operator's quota", _BOARD, _BOARD, ledger=TWO_OFFICERS),
    _rule("reserve-rule.set", "change the reserve share of a wallet class", _BOARD, _BOARD),
    _rule("wallet.fund", "move money from the vault to a wallet", (_D.OPERATOR,), own=True, ledger=OWNING_OPERATOR),
    _rule(
        "wallet.defund", "move money from a wallet to the bank", (_D.CITIZEN, _D.MERCHANT, _D.OPERATOR), own=True,
        ledger=OWNER,
    ),
    _rule("transit.confirm", "report that a bank accepted its leg", _STAFF, own=True, ledger=OPERATOR),
    _rule("transit.reject", "report that a bank refused its leg", _STAFF, own=True, ledger=OPERATOR),
    # wallets
    _rule("wallet.open", "open wallets", _STAFF, own=True, ledger=OPERATOR),
    _rule("wallet.close", "close an empty wallet", _STAFF, own=True, ledger=OPERATOR),
    _rule("wallet.class", "move a wallet to another class", (_D.OPERATOR,), own=True, ledger=OPERATOR),
    _rule("alias.register", "register or end an alias", (*_STAFF, _D.CITIZEN), own=True),
    _rule("alias.move", "move an alias to another wallet", (*_STAFF, _D.CITIZEN), own=True),
    _rule("alias.beneficiary", "register, end and look up beneficiaries' ids as aliases", OPERATOR_STAFF, own=True),
    _rule("pay", "pay from a wallet", (_D.CITIZEN, _D.MERCHANT), ledger=OWNER),
    _rule("mandate", "let a wallet's operator fund what its payments lack, from the holder's bank", (_D.CITIZEN,)),
    _rule(
        "pay.fund", "fund what a payment lacks, once the bank paid, and make the payment", (_D.OPERATOR,), own=True,
        ledger=f"{OWNING_OPERATOR}, and {OWNER}",
    ),
    _rule("hold", "hold money of a wallet for a payee", (_D.CITIZEN, _D.MERCHANT), ledger=OWNER),
    _rule(
        "hold.end", "take or release the held money of a wallet", (_D.CITIZEN, _D.MERCHANT, _D.OPERATOR), own=True,
        ledger=OWNER,
    ),
    _rule("refund", "refund a payment", (_D.MERCHANT, _D.OPERATOR), own=True, ledger=OWNER),
    _rule("request", "ask for a payment", (_D.CITIZEN, _D.MERCHANT)),
    _rule("sweep", "send a merchant's balance to its bank", (_D.MERCHANT, _D.OPERATOR), own=True, ledger=OWNER),
    _rule("merchant.report", "read a merchant's day report", (*_STAFF, _D.MERCHANT, _D.AUDITOR), own=True),
    # programmes
    _rule(
        "programme.funder", "open a funder's account, pay it in, or pay it out", (_D.OPERATOR,), own=True,
        ledger=OWNING_OPERATOR,
    ),
    _rule("programme.draft", "store a programme's file, or replace it before it runs", (_D.OFFICER, _D.OPERATOR),
        own=True),
    _rule("programme.registration", "open the registration of a programme", (_D.OFFICER, _D.OPERATOR), own=True),
    _rule("programme.register", "register people for a programme: check, code, exclusion, withdrawal", _STAFF),
    _rule("programme.remove", "let an entry leave the frozen list; an exclusion after the draw needs a second person",
        _STAFF, own=True),
    _rule("programme.appeal", "file the appeal of a registrant", (*_STAFF, _D.CASEWORKER)),
    _rule("programme.decide", "decide the appeal, or the exclusion after the draw, that another person filed",
        (_D.CASEWORKER, _D.OFFICER)),
    _rule("programme.draw", "freeze and publish the list of a programme, and draw", (_D.OFFICER, _D.OPERATOR),
        own=True),
    _rule("programme.beacon", "bring the value of the beacon; two persons bring the same",
        (_D.OFFICER, _D.OPERATOR, _D.WITNESS)),
    _rule("programme.terms", "approve budget, cohort and draw of a programme", _BOARD, _BOARD, ledger=TWO_OFFICERS),
    _rule("programme.allot", "add and seal the cohort of a programme", (_D.OPERATOR,), own=True, ledger=OPERATOR),
    _rule("programme.drop", "fill the packets of a programme", (_D.OPERATOR,), own=True, ledger=OWNER),
    _rule("programme.claim", "claim a packet into the winner's wallet", (*_STAFF, _D.CITIZEN), own=True,
        ledger=OPERATOR),
    _rule("programme.halt", "refuse the claims of a programme immediately", (_D.OFFICER, _D.OPERATOR), own=True),
    _rule("programme.block", "block the debits of a halted programme's funder", (_D.OFFICER, _D.OPERATOR), _BOARD,
        own=True, ledger=OPERATOR),
    _rule("programme.resume", "end a halt, and the block of the funder", (_D.OFFICER, _D.OPERATOR), _BOARD, own=True,
        ledger=OPERATOR),
    _rule("programme.close", "close an expired programme, or cancel one before its drop", (_D.OFFICER, _D.OPERATOR),
        own=True),
    _rule("programme.apply", "apply for a merchant group of a programme", (*_STAFF, _D.MERCHANT), own=True),
    _rule("programme.check", "accept or decline a shop; not the person who applied",
        (_D.OFFICER, _D.COMPLIANCE, _D.OPERATOR), own=True),
    _rule("programme.join", "let accepted shops join, or a shop leave", (_D.OPERATOR,), own=True, ledger=OPERATOR),
    _rule("programme.report", "read the situation and the closing report of a programme",
        (_D.OFFICER, _D.OPERATOR, _D.COMPLIANCE, _D.AUDITOR), own=True),
    _rule("programme.evidence", "file the result of a conformance run or of a restored backup", _BOARD_AND_STAFF,
        own=True),
    # bulk payments
    _rule(
        "bulk.pay", "pay many payees from one account, by a file", (_D.CITIZEN, _D.MERCHANT, _D.OPERATOR), own=True,
        ledger=OWNER,
    ),
    _rule(
        "bulk.approve", "approve a file of bulk payments above the amount of the setting",
        (_D.OPERATOR, _D.OFFICER), (_D.OPERATOR, _D.OFFICER), own=True,
    ),
    # vouchers
    _rule("voucher.group", "approve budget, end and shops of a group of vouchers", _BOARD, _BOARD,
        ledger=TWO_OFFICERS),
    _rule("voucher.issue", "reserve money for new vouchers of a group", (_D.OPERATOR,), own=True,
        ledger=OWNING_OPERATOR),
    _rule("voucher.print", "read the numbers of vouchers, to print or send them", (_D.OPERATOR,), own=True),
    _rule("voucher.activate", "activate vouchers for beneficiaries", OPERATOR_STAFF, own=True),
    _rule("voucher.redeem", "pay a shop from a voucher", (_D.OPERATOR,), own=True, ledger=OWNING_OPERATOR),
    _rule("voucher.cancel", "cancel vouchers: the rest returns to the funder", (_D.OPERATOR,), own=True,
        ledger=OWNING_OPERATOR),
    _rule("voucher.return", "return the money on a group's account to its funder", (_D.OPERATOR,), own=True,
        ledger=OWNING_OPERATOR),
    # clearing
    _rule("clearing.house", "choose the operator that runs the clearing house", _BOARD, _BOARD, ledger=TWO_OFFICERS),
    _rule("clearing.currency", "let the house clear another currency", _BOARD, _BOARD, ledger=TWO_OFFICERS),
    _rule("clearing.admit", "admit a participant, with its positions and its key", _BOARD, _BOARD, ledger=TWO_OFFICERS),
    _rule("clearing.position", "open a position in another currency", _BOARD, _BOARD, ledger=TWO_OFFICERS),
    _rule("clearing.floor", "change the floor and the largest balance of a position", _BOARD, _BOARD,
        ledger=TWO_OFFICERS),
    _rule("clearing.pledge", "fill a participant's line against its reserves", (_D.OFFICER, _D.OPERATOR), _BOARD,
        own=True, ledger=TWO_OFFICERS_AND_OPERATOR),
    _rule("clearing.unpledge", "take money from a line, and return the reserves", (_D.OPERATOR,), (_D.OPERATOR,),
        ledger=TWO_OPERATORS),
    _rule("clearing.fill", "fill a line in another currency", _ISSUERS, _ISSUERS, ledger=TWO_OF_CURRENCY),
    _rule("clearing.issue", "put money of another currency on a position", _ISSUERS, _ISSUERS, ledger=TWO_OF_CURRENCY),
    _rule("clearing.corridor", "let a participant quote rates between two currencies", _ISSUERS, _ISSUERS),
    _rule("clearing.prefund", "move money from the vault to the position", (_D.OPERATOR,), own=True,
        ledger=OWNING_OPERATOR),
    _rule("clearing.pay-out", "move money from a position to its participant, on its message", (_D.OPERATOR,), own=True,
        ledger=OWNING_OPERATOR),
    _rule("clearing.repay", "repay lines from positions", (_D.OPERATOR,), own=True, ledger=OWNING_OPERATOR),
    _rule("clearing.block", "block what leaves a participant's positions, or lift the block", (_D.OPERATOR, _D.OFFICER),
        own=True, ledger=OPERATOR),
    _rule("clearing.deliver", "deliver a participant's signed messages", OPERATOR_STAFF, own=True),
    _rule("clearing.book", "book payments by themselves, on the messages of their senders", (_D.OPERATOR,), own=True,
        ledger=OWNING_OPERATOR),
    _rule("clearing.settle", "decide a set of payments, and book it", (_D.OPERATOR,), own=True, ledger=OPERATOR),
    _rule("clearing.limit", "set a participant's limits and reservations", OPERATOR_STAFF, own=True),
    _rule("clearing.key", "replace the key with which a participant signs messages", (_D.OPERATOR,), own=True),
    # personal data
    _rule(
        "person.read", "read personal data, for a case and a reason",
        (_D.CLERK, _D.OPERATOR, _D.CASEWORKER, _D.COMPLIANCE), own=True,
    ),
    _rule("person.log", "read who read the data of others; everybody reads their own", (_D.PRIVACY, _D.AUDITOR)),
    _rule("person.shred", "delete a person's key, so that nobody can read the data", (_D.PRIVACY,)),
    _rule("person.hold", "keep personal data for a legal case", (_D.PRIVACY, _D.OFFICER), (_D.PRIVACY, _D.OFFICER)),
    _rule(
        "log.delay", "hide an entry of the access log from the person until a day",
        (_D.PRIVACY, _D.OFFICER), (_D.PRIVACY, _D.OFFICER),
    ),
    _rule("message.deliver", "see which messages to phones were not delivered, and have one sent again",
        (_D.OFFICER, _D.PRIVACY)),
    # events of a life
    _rule("life.phone-lost", "give a lost wallet a new key", (_D.OPERATOR,), own=True, ledger=OPERATOR),
    _rule("life.guardian", "let a guardian act for a ward", (_D.OPERATOR, _D.CASEWORKER), (_D.COMPLIANCE, _D.OFFICER)),
    _rule("life.deceased", "block the wallets of a deceased person", (_D.OPERATOR, _D.CASEWORKER), ledger=OPERATOR),
    _rule("life.dormant", "block a dormant wallet, or lift that block", (_D.OPERATOR,), own=True, ledger=OPERATOR),
    _rule("life.court-order", "block a wallet by court order", (_D.OPERATOR, _D.OFFICER), own=True, ledger=OPERATOR),
    _rule("life.lift-order", "lift a block by court order", _BOARD, _BOARD, ledger=OFFICER),
    # the day
    _rule("day.close", "close a business day", (_D.CLOSER, _D.OFFICER)),
    _rule("day.countersign", "sign the pack of a closed day", (_D.COUNTERSIGNER,)),
    _rule(
        "day.read", "read closed days, their packs and all breaks",
        (_D.CLOSER, _D.COUNTERSIGNER, _D.CASEWORKER, _D.OFFICER, _D.AUDITOR, _D.WITNESS),
    ),
    _rule("day.break", "name the owner of a break, or close it", (_D.CLOSER, _D.CASEWORKER, _D.OPERATOR)),
    _rule("checkpoint", "sign the position of the ledger", (_D.WITNESS,), ledger=WITNESS),
    # cases
    _rule("case.open", "open a case", (*_STAFF, _D.CASEWORKER, _D.MERCHANT, _D.CITIZEN)),
    _rule("case.act", "take a step in a case", (*_STAFF, _D.CASEWORKER)),
    _rule(
        "case.reverse", "take money back by authority", (_D.CASEWORKER, _D.OFFICER), _BOARD, ledger=TWO_OFFICERS,
    ),
    # compliance
    _rule(
        "compliance.declare", "replace the declarations, profiles and lists by which the bank judges",
        (_D.OFFICER, _D.COMPLIANCE),
    ),
    _rule("compliance.admit", "judge a declared participant, and admit or refuse it", (_D.OFFICER, _D.COMPLIANCE)),
    # the folder
    _rule("backup", "write an encrypted backup", (_D.CLOSER, _D.OFFICER)),
    _rule("audit", "read balances, packs, proposals and logs", (_D.AUDITOR, _D.OFFICER)),
)  # fmt: skip

ACTIONS: Final[dict[str, ActionRule]] = {rule.name: rule for rule in _RULES}
assert len(ACTIONS) == len(_RULES)
assert set(MEANINGS) == set(Duty)


def rule(action: str) -> ActionRule:
    """Return the rule of an action. Raises UsageError for an unknown name."""
    try:
        return ACTIONS[action]
    except KeyError:
        raise UsageError(
            f"there is no action {action!r}",
            hint=hint(action, ACTIONS, "docs/reference/duties.md lists the actions"),
        ) from None


def parse(text: str) -> Duty:
    """Return the duty of this name. Raises UsageError for another text."""
    try:
        return Duty(text.strip().lower())
    except ValueError:
        names = [duty.value for duty in Duty if duty is not OWN]
        near = hint(text.strip().lower(), names, f"use one of: {', '.join(names)}")
        raise UsageError(f"{text!r} is not a duty", hint=near) from None


def may(duties: Collection[Duty], action: str) -> bool:
    """Return whether a person with these duties may request the action. Raises UsageError for an unknown action."""
    return not rule(action).makers.isdisjoint(duties)


def may_check(duties: Collection[Duty], action: str) -> bool:
    """Return whether a person with these duties may check the action that another person requested."""
    return not rule(action).checkers.isdisjoint(duties)


def conflict(held: Iterable[Duty], new: Duty) -> Duty | None:
    """Return a duty among `held` that one person may not have together with `new`, or None."""
    return next((each for each in held if frozenset({each, new}) in APART), None)
