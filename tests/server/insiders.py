"""Insiders: what each role of the staff gets for a complete request about a customer, or about another officer.

The customer is Leo, of operator 2; his wallet has a key that he alone has. "clerk" and "operator" work for operator 2,
"other bank" signs for operator 3. A cell is one of the words below.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tests.server.office import ROLES, Office
from tests.server.samples import KEY, Samples

from sycee.core import ids
from sycee.core.records.signed_messages import proof_message

CELLS: Final = {
    200: "reads",
    201: "does",
    202: "signs",  # nothing happens before the operator's key, or an officer's, signs
    400: "refused",  # the duty is there, and permits nothing alone
    403: "no",
    404: "hidden",  # answered like what does not exist
}
TWO: Final = "two"  # a proposal, which another person must sign
STAFF: Final = tuple(each for each in ROLES if each not in ("anonymous", "citizen"))
TOLD: Final = {"invite", "recover_login"}  # what is done about a login, the customer is told at once

# operation: cells of clerk, operator, other bank and officer; then that of all others, and exceptions.
ABOUT_LEO: Final = """
invite                does    does    hidden  does     no
recover_login         two     two     hidden  two      no
end_logins            does    does    hidden  does     no
register_client       no      no      no      refused  no
read_person           reads   reads   hidden  no       no      caseworker=reads compliance=reads
read_person_no_case   refused refused hidden  no       no      caseworker=refused compliance=refused
access_log            no      no      no      no       no      privacy=reads auditor=reads
ward_access_log       hidden  hidden  hidden  hidden   hidden
delay_log             no      no      no      two      no      privacy=two
hold_data             no      no      no      two      no      privacy=two
list_holds_of_data    no      no      no      reads    no      privacy=reads
shred_person          no      no      no      no       no      privacy=refused
propose_guardian      no      two     hidden  no       no      caseworker=two
record_death          no      signs   hidden  no       no      caseworker=refused
appoint               no      no      no      two      no
open_case             does    does    refused refused  refused caseworker=does
order_state           reads   reads   hidden  reads    hidden  auditor=reads
show_wallet           reads   reads   hidden  reads    hidden  auditor=reads
read_statement        reads   reads   hidden  reads    hidden  auditor=reads
download_statement    reads   reads   hidden  reads    hidden  auditor=reads
show_mandate          reads   reads   hidden  reads    hidden  auditor=reads
show_keys             reads   reads   hidden  reads    hidden  auditor=reads
list_requests         reads   reads   hidden  reads    hidden  auditor=reads
list_holds            reads   reads   hidden  reads    hidden  auditor=reads
list_wallet_fundings  reads   reads   hidden  reads    hidden  auditor=reads
list_restrictions     reads   reads   hidden  reads    hidden  auditor=reads
pay                   hidden  hidden  hidden  hidden   hidden
hold                  hidden  hidden  hidden  hidden   hidden
ask                   hidden  hidden  hidden  hidden   hidden
ask_bank              hidden  hidden  hidden  hidden   hidden
pay_request           hidden  hidden  hidden  hidden   hidden
declare_bulk          hidden  hidden  hidden  hidden   hidden
defund                hidden  hidden  hidden  hidden   hidden
grant_mandate         hidden  hidden  hidden  hidden   hidden
end_mandate           no      refused hidden  no       hidden  auditor=no
register_handle       hidden  hidden  hidden  hidden   hidden
end_alias             hidden  hidden  hidden  hidden   hidden
keep_alias            hidden  hidden  hidden  hidden   hidden
challenge_phone       hidden  hidden  hidden  hidden   hidden
set_key               no      refused hidden  no       no
recover               no      refused hidden  no       no
revoke_key            no      signs   hidden  signs    no
finish_recovery       no      does    hidden  no       no
release_estate        no      refused hidden  no       no      caseworker=hidden
mark_dormant          no      signs   hidden  no       no
end_dormancy          no      refused hidden  no       no
record_court_order    no      signs   hidden  no       no
lift_court_order      no      no      no      refused  no
open_wallet           refused signs   no      no       no
close_wallet          refused signs   hidden  no       no
change_class          no      signs   hidden  no       no
link_bank             no      signs   hidden  no       no
unlink_bank           no      signs   hidden  no       no
fund                  no      signs   hidden  no       no
"""
# The same about Bob, a second officer, who has no wallet. Officers act on the machine, with a key (`sycee invite`).
ABOUT_BOB: Final = """
invite                hidden  hidden  hidden  refused  no
recover_login         hidden  hidden  hidden  two      no
end_logins            hidden  hidden  hidden  does     no
register_client       no      no      no      signs    no
read_person           hidden  hidden  hidden  no       no      caseworker=hidden compliance=hidden
ward_access_log       hidden  hidden  hidden  hidden   hidden
propose_guardian      no      hidden  hidden  no       no      caseworker=two
appoint               no      no      no      two      no
"""
# Operations that name a person or a wallet, and are no way to what belongs to a customer.
NOT_IN_THE_TABLE: Final = {
    "open_person": "a new person, who has nothing yet",
    "open_persons": "as open_person",
    "fund_funder": "the account is a funder's",
    "propose_reserve_rules": "the holder is a word of a rule, no person",
    "enter_institution": "owners of a new institution; its due diligence needs two persons",
    "act_in_case": "a step in a case; returns need two officers: test_a_reversal_needs_two_officers",
    "sign_proposal": "the signature is the authority, and nobody signs twice: test_proposals.py",
    "assign_break": "the owner of a break is a person of the staff",
    "register_person": "the office has no programme; who registers whom: test_registrations.py",
    "claim_packet": "the office has no programme; a packet goes to its winner's wallet: test_programmes.py",
    "claim_packets": "as claim_packet",
    "apply_for_group": "wallets of shops: test_shops.py",
    "check_shop": "wallets of shops: test_shops.py",
    "leave_group": "wallets of shops: test_shops.py",
    "sweep": "a merchant's money goes to its verified settlement account only: test_merchants.py",
    "qr_text": "a QR code has what a payer sees",
    "qr_png": "as qr_text",
    "qr_svg": "as qr_text",
}
NAMES: Final = {"person", "wallet", "wallets", "holder", "owner", "payee", "payer", "account", "guardian", "signer"}


def rows(table: str) -> Iterator[tuple[str, str, str]]:
    """Operation, role and declared cell of each cell of a table."""
    for line in table.strip().splitlines():
        name, clerk, operator, other, officer, rest, *exceptions = line.split()
        cells = dict.fromkeys(STAFF, rest)
        cells |= {"clerk": clerk, "operator": operator, "other bank": other, "officer": officer}
        cells |= dict(each.split("=") for each in exceptions)
        for role, cell in cells.items():
            yield name, role, cell


def operation_of(name: str) -> str:
    """The name of the operation of a row."""
    return name.removesuffix("_no_case")


def members(office: Office, samples: Samples) -> dict[str, dict[str, Any]]:
    """Members that make the request of a row complete, as an attacker with a key of their own would send it."""
    wallet = office.town.leo
    proof = KEY.sign(proof_message(office.bank.stores.ledger.ledger_id, wallet, 2, KEY.public)).hex()
    return {
        "set_key": {"proof": proof},
        "recover": {"proof": proof},
        "recover_login": {"reason": "seen at the desk"},
        "appoint": {"duty": "merchant", "institution": samples.values["institution"]},
        "open_case": {"kind": "recovery", "person": samples.values["person"]},
        "open_wallet": {"operator": 2, "tier": "class-4"},
        "record_death": {"operator": 2},
        "register_handle": {"alias": "@leo"},
        "challenge_phone": {"alias": "+8613800000099"},
        "end_alias": {"alias": "+8613800000001"},
        "keep_alias": {"alias": "+8613800000001"},
        "read_person": {"fields": ["name"], "reason": "complaint", "case": samples.values["case"]},
        "read_person_no_case": {"fields": ["name"], "reason": "complaint", "case": 9_999},
    }


def named(document: dict[str, Any], method: str, template: str) -> set[str]:
    """The members of path and body of an operation that name a person or a wallet."""
    found = {each for each in NAMES if "{" + each + "}" in template}
    described = document["paths"][template][method.lower()].get("requestBody", {}).get("content", {})
    waiting = [each["schema"] for kind, each in described.items() if kind == "application/json"]
    while waiting:
        schema = waiting.pop()
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        found |= NAMES & schema.get("properties", {}).keys()
        waiting += [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *schema.get("allOf", ())]
        waiting += [schema["items"]] if isinstance(schema.get("items"), dict) else []
    return found


def cell_of(status: int, body: Any) -> str:
    """The cell of an answer."""
    made = status == 201 and isinstance(body, dict) and "needs" in body
    return TWO if made else CELLS.get(status, str(status))


def person_of(office: Office, role: str) -> str:
    """The id of a role's person, as text."""
    return ids.format(office.person(role))
