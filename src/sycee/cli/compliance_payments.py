"""`sycee compliance screen` and `verify-record`: decisions about the payments of a message, and proofs of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from sycee.cli.compliance_options import DEFAULT_INPUTS, STOPPED, Inputs, Lists, NetworkPath, Trust, columns, print_json
from sycee.cli.parameters import AsJson
from sycee.cli.terminal import note, progress
from sycee.core.errors import UsageError

if TYPE_CHECKING:
    from datetime import date

    from sycee.compliance.enforcement.payment_messages import ScreenedTransfer
    from sycee.compliance.enforcement.proofs import Proof
    from sycee.compliance.enforcement.unstored import UnstoredCompliance
    from sycee.compliance.facts import Network
    from sycee.compliance.profiles import Library, List, Profile
    from sycee.core.keys import PublicKey
    from sycee.iso20022.credit_transfers import CreditTransfers

PROOF_BYTES_MAX: Final = 256 << 20  # some 80,000 proofs


def screen(
    network: NetworkPath,
    message: Annotated[Path, Parameter(help="A pacs.008 or pacs.009 message, as XML.")],
    /,
    *,
    inputs: Inputs = DEFAULT_INPUTS,
    status: Annotated[Path | None, Parameter(help="Write a status report, pacs.002, to this file.")] = None,
    proofs: Annotated[
        Path | None, Parameter(help="Write signed proofs, one a line, to this file; needs --key.")
    ] = None,
    key: Annotated[Path | None, Parameter(help="The file of the private key that signs, from `sycee key new`.")] = None,
    json_: AsJson = False,
) -> int:
    """Screen the payments of a message, and store nothing. Exit code 1 if one is refused."""
    from sycee.compliance.enforcement import payment_messages
    from sycee.compliance.enforcement.payment_messages import ScreenedTransfer
    from sycee.compliance.enforcement.unstored import UnstoredCompliance
    from sycee.core.input_files import read_bytes
    from sycee.iso20022 import credit_transfers
    from sycee.iso20022.reading import MESSAGE_BYTES_MAX

    if (proofs is None) != (key is None):
        raise UsageError("--proofs and --key belong together", hint="give both, or neither")
    inputs.check_outputs({"--status": status, "--proofs": proofs}, [network, message])
    read = credit_transfers.parse(read_bytes(message, MESSAGE_BYTES_MAX, "message"), str(message))
    declared, library, day = inputs.load([network])
    mapped = payment_messages.requests(read, declared, day)
    with progress("screening"):
        decided = iter(UnstoredCompliance(declared, library, day).screen_many([each for one in mapped for each in one]))
    screened = [
        ScreenedTransfer(transfer, tuple(next(decided) for _ in each))
        for transfer, each in zip(read.transactions, mapped, strict=True)
    ]
    if status is not None:
        _write_status(status, read, screened)
    if proofs is not None and key is not None:
        _write_proofs(proofs, key, screened, declared, library)
    if json_:
        payments = [_members(read, each) for each in screened]
        print_json({"message": read.name, "id": read.id, "at": day.isoformat(), "payments": payments})
    else:
        _print_screened(read, screened, day.isoformat())
    return STOPPED if any(each.reason_code for each in screened) else 0


def verify_record(
    file: Annotated[Path, Parameter(help="Proofs, one a line, as `sycee compliance screen --proofs` writes them.")],
    network: Annotated[Path | None, Parameter(help="The declarations at hand: a folder, or one file.")] = None,
    /,
    *,
    key: Annotated[
        list[str] | None, Parameter(help="A public key that may sign, such as ed25519:…. May be repeated.")
    ] = None,
    profile: Annotated[
        list[str] | None, Parameter(help="A profile at hand, as a TOML file [default: shipped ones]. May be repeated.")
    ] = None,
    list_: Lists = None,
    trust: Trust = None,
    json_: AsJson = False,
) -> int:
    """Check signed proofs of decisions without a database: signature, digests, and the versions that were judged.

    A key is known if --key gives it, or an organisation of the network declares it. With the same network and library
    each payment is judged again. Exit code 1 if a key is not known, 3 if a proof was changed.
    """
    from sycee.compliance import authority, declarations
    from sycee.compliance.enforcement import proofs
    from sycee.core.input_files import read_text
    from sycee.core.keys import PublicKey

    known = {PublicKey.parse(each) for each in key or []}
    if trust is not None and network is None:
        raise UsageError("--trust needs the declarations that it is about", hint="name them after the file of proofs")
    trusted = None if trust is None else authority.load(trust)
    declared = None if network is None else declarations.load([network], trusted)
    lines = [each for each in read_text(file, PROOF_BYTES_MAX, "file of proofs").splitlines() if each.strip()]
    if not lines:
        raise UsageError(f"{file} is empty", hint="sycee compliance screen --proofs writes proofs")
    at_hand = _AtHand(declared, known, profile or [], list_ or [])
    found = []
    with progress("verifying") as report:
        for number, line in enumerate(lines, 1):
            found.append(at_hand.check(proofs.verify(line)))
            report(number, len(lines))
    if json_:
        print_json({"ok": all(each["known"] for each in found), "proofs": found})
    else:
        for each in found:
            _print_proof(each)
    return 0 if all(each["known"] for each in found) else STOPPED


class _AtHand:
    """The network, the profiles and lists, and the known keys of the reader of proofs."""

    def __init__(
        self, network: Network | None, keys: set[PublicKey], profiles: Sequence[str], lists: Sequence[Path]
    ) -> None:
        from sycee import data
        from sycee.compliance.profile_reader import parse_profile

        self._network = network
        self._keys = keys
        self._lists = lists
        self._names = {each: each for each in data.names("profiles")}
        self._names |= {parse_profile(data.document("profiles", each, "profile")).id: each for each in profiles}
        self._libraries: dict[tuple[str, ...], Library | None] = {}
        self._judges: dict[tuple[str, date], UnstoredCompliance] = {}

    def check(self, proof: Proof) -> dict[str, Any]:
        """Return what a verified proof says, and how it compares with what is at hand."""
        library = self._library(tuple(each.id for each in proof.versions if each.kind == "profile"))
        parts: list[Profile | List] = [*library.profiles, *library.lists.values()] if library else []
        signers = proof.signers(self._network) if self._network else []
        return {
            "payment": proof.record["payment"],
            "outcome": proof.outcome,
            "reason_code": proof.record["reason_code"],
            "at": proof.day.isoformat(),
            "until": proof.record.get("until"),
            "record": proof.record["digest"],
            "engine": proof.record["inputs"].get("engine"),
            "key": str(proof.key),
            "signers": signers,
            "known": bool(signers) or proof.key in self._keys,
            "versions": [
                {**each._asdict(), "at_hand": word} for each, word in proof.compare(self._network, parts).items()
            ],
            "judged_again": self._judged_again(proof, library),
        }

    def _library(self, ids: tuple[str, ...]) -> Library | None:
        """Return the library of those profiles that are given, or shipped; None without any."""
        from sycee.compliance import library

        if ids not in self._libraries:
            names = [self._names[each] for each in ids if each in self._names]
            self._libraries[ids] = library.load(names, self._lists) if names else None
        return self._libraries[ids]

    def _judged_again(self, proof: Proof, library: Library | None) -> bool:
        """Judge a payment again, if network and library are those of the proof; return whether they are.

        Raise IntegrityError if the decision is another one.
        """
        from sycee.compliance.enforcement import decision_replay
        from sycee.compliance.enforcement.unstored import UnstoredCompliance
        from sycee.compliance.verdicts import ENGINE

        if self._network is None or library is None or (self._network.digest, library.digest) != proof.digests:
            return False
        if proof.record["inputs"].get("engine") != ENGINE or proof.record.get("given") == "":
            return False  # another release made it, or the request could not be stored
        key = (library.digest, proof.day)
        if key not in self._judges:
            self._judges[key] = UnstoredCompliance(self._network, library, proof.day)
        decision_replay.replay(self._judges[key], proof.record)
        return True


def _write_status(path: Path, message: CreditTransfers, screened: Sequence[ScreenedTransfer]) -> None:
    from sycee.compliance import canonical
    from sycee.compliance.enforcement import payment_messages
    from sycee.core.clock import RealClock
    from sycee.core.output_files import write_file

    records = [[decision.record for decision in each.decisions] for each in screened]
    at_ns = RealClock().now_ns()
    id = f"S{canonical.digest([at_ns, [each['digest'] for one in records for each in one]])[:34]}"
    write_file(path, payment_messages.status_report(message, records, id, at_ns))
    note(f"status report {id} written to {path}")


def _write_proofs(
    path: Path, key: Path, screened: Sequence[ScreenedTransfer], network: Network, library: Library
) -> None:
    from sycee.compliance.enforcement import proofs
    from sycee.core.keys import SigningKey
    from sycee.core.output_files import write_file
    from sycee.core.words import quantity

    signer = SigningKey.load(key)
    made = [
        proofs.proof_text(proofs.prove(decision.record, network, library, signer))
        for each in screened
        for decision in each.decisions
    ]
    write_file(path, "".join(f"{each}\n" for each in made).encode())
    note(f"{quantity(len(made), 'proof')} signed by {signer.public} written to {path}")


def _members(message: CreditTransfers, screened: ScreenedTransfer) -> dict[str, Any]:
    from sycee.compliance.enforcement import payment_messages

    return {
        "payment": payment_messages.reference(message, screened.transfer),
        "outcome": screened.outcome,
        "reason_code": screened.reason_code,
        "decisions": [each.record for each in screened.decisions],
    }


def _print_screened(message: CreditTransfers, screened: Sequence[ScreenedTransfer], at: str) -> None:
    from sycee.compliance.enforcement import payment_messages
    from sycee.compliance.reports.text import wrapped
    from sycee.core.words import quantity

    refused = sum(bool(each.reason_code) for each in screened)
    payments = quantity(len(screened), "payment")
    counts = f"{payments}, {len(screened) - refused:,} permitted, {refused:,} refused"
    lines = [f"{message.name} {message.id}, judged as of {at}: {counts}"]
    for each in screened:
        reason = f" ({each.reason_code})" if each.reason_code else ""
        reference = payment_messages.reference(message, each.transfer)
        lines.append(f"{each.outcome.upper()}{reason}: {reference}, {_amount(each)}")
        for text in dict.fromkeys(line for decision in each.decisions for line in _decision_lines(decision)):
            lines.append(f"      {text}")
    print(wrapped(lines, columns()), end="")


def _decision_lines(decision: Any) -> Iterator[str]:
    """Yield the parties and the route of a permitted payment, or the reasons against it."""
    from sycee.compliance.enforcement.screening import ComplianceRecord

    if isinstance(decision, ComplianceRecord) and decision.result.route:
        route = " > ".join(decision.result.route.via) or "both enter at the same place"
        yield f"{decision.result.sender} to {decision.result.receiver}: {route}"
    yield from (f"- {each}" for each in decision.messages)


def _amount(screened: ScreenedTransfer) -> str:
    from sycee.core import money

    amount = screened.transfer.amount
    return money.format(amount.minor, money.currency(amount.currency), code=True)


def _print_proof(found: dict[str, Any]) -> None:
    from sycee.compliance.reports.text import wrapped

    reason = f" ({found['reason_code']})" if found["reason_code"] else ""
    until = f", may change on {found['until']}" if found["until"] else ""
    signers = ", ".join(found["signers"])
    who = f"the key of {signers}" if signers else "a key that you gave" if found["known"] else "NOT KNOWN here"
    words = {"same": "the same at hand", "other": "ANOTHER ONE at hand", "absent": "not at hand"}
    lines = [
        f"{found['outcome'].upper()}{reason}: {found['payment']}, judged as of {found['at']}{until}",
        f"      record {found['record']}, by {found['engine']}",
        f"      signed by {found['key']}: {who}",
    ]
    lines += [
        f"      {each['kind']} {each['id']} {each['version']}: {words[each['at_hand']]}" for each in found["versions"]
    ]
    again = "the same decision" if found["judged_again"] else "not done, for not all of it is at hand"
    lines.append(f"      judged again: {again}")
    print(wrapped(lines, columns()), end="")
