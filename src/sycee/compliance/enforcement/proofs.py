"""Proofs: a record with the digests of everything that was judged, signed, to be checked without a database.

A proof is JSON: a record, the versions of network, profiles and lists with their digests, a public key and its Ed25519
signature over the canonical form of all the rest. It proves who made the decision, and by what; whether the reader
trusts the key is for the reader to say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, NamedTuple

from sycee.compliance import canonical
from sycee.compliance.attestations import has_small_order
from sycee.compliance.enforcement import decisions
from sycee.compliance.enforcement.screening import STORED_OUTCOMES, Screening, UnreadableFlow
from sycee.compliance.facts import Network
from sycee.compliance.profiles import Library, List, Profile
from sycee.compliance.vocabulary import ORGANISATION
from sycee.core import nesting
from sycee.core.errors import UsageError, require
from sycee.core.keys import ED25519, SIGNATURE_BYTES, PublicKey, SigningKey

FORMAT: Final = "sycee.compliance-proof.v1"
PROVED: Final = (Screening.FORMAT, UnreadableFlow.FORMAT)  # formats of records that a proof may hold
SAME: Final = "same"
OTHER: Final = "other"
ABSENT: Final = "absent"

_MEMBERS: Final = ("format", "record", "versions", "key", "signature")
_SIGNATURE: Final = re.compile(f"[0-9a-f]{{{2 * SIGNATURE_BYTES}}}")
_HINT: Final = "give the proof as it came"


class JudgedVersion(NamedTuple):
    """One input of a decision: `kind` is network, profile or list; `version` is a number or a day."""

    kind: str
    id: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof whose digests and signature are right: what was judged, as of which day. `key` is that of its signer."""

    record: Mapping[str, Any]
    versions: tuple[JudgedVersion, ...]
    day: date
    key: PublicKey

    @property
    def outcome(self) -> str:
        """Return "permitted" or "refused"."""
        return next(outcome for outcome, word in STORED_OUTCOMES.items() if word == self.record["outcome"])

    @property
    def digests(self) -> tuple[str, str]:
        """Return the digests of the network and of the whole library."""
        inputs = self.record["inputs"]
        return inputs["network"], inputs["library"]

    def compare(self, network: Network | None, parts: Iterable[Profile | List]) -> dict[JudgedVersion, str]:
        """Return for each judged version whether the one at hand is the same, another one, or absent."""
        at_hand = {
            ("profile" if isinstance(each, Profile) else "list", each.id): canonical.digest(each) for each in parts
        }
        if network is not None:
            # A network is one for all: one with another id is another one, too.
            at_hand |= {("network", each.id): network.digest for each in self.versions if each.kind == "network"}
        found = {each: at_hand.get((each.kind, each.id)) for each in self.versions}
        return {
            each: ABSENT if digest is None else SAME if digest == each.digest else OTHER
            for each, digest in found.items()
        }

    def signers(self, network: Network) -> list[str]:
        """Return the organisations of a network that declare the key of this proof."""
        key = self.key.key.hex()
        return [each.id for each in network.of_kind(ORGANISATION) if key in each.values("key")]


def prove(record: Mapping[str, Any], network: Network, library: Library, key: SigningKey) -> dict[str, Any]:
    """Return the proof of a record about a payment, as JSON values.

    `network` and `library` are those that it names. Raise UsageError for another record or key, IntegrityError if the
    digests differ.
    """
    _require_ed25519(key.public)
    content = decisions.parse_record(record, PROVED)
    named = (content["inputs"]["network"], content["inputs"]["library"])
    require(named == (network.digest, library.digest), "the record names another network or library than those given")
    versions = {
        "library": library.digest,
        "lists": [_version(each.as_of.isoformat(), each) for _, each in sorted(library.lists.items())],
        "network": {"id": network.id, "version": network.as_of.isoformat(), "digest": network.digest},
        "profiles": [_version(str(each.version), each) for each in sorted(library.profiles, key=lambda each: each.id)],
    }
    signed = {"format": FORMAT, "record": content, "versions": versions, "key": str(key.public)}
    return {**signed, "signature": key.sign(canonical.canonical(signed)).hex()}


def proof_text(proof: Mapping[str, Any]) -> str:
    """Return a proof as one line of JSON."""
    return canonical.canonical(proof).decode()


def verify(proof: str | bytes | Mapping[str, Any]) -> Proof:
    """Return a proof after checking it: digest of the record, versions and signature.

    Raise UsageError for a value that is no proof, IntegrityError for one that was changed.
    """
    content = _parsed(proof)
    key = PublicKey.parse(_member(content, "key", str))
    _require_ed25519(key)
    signature = _member(content, "signature", str)
    signed = {name: each for name, each in content.items() if name != "signature"}
    verified = _SIGNATURE.fullmatch(signature) and key.verifies(bytes.fromhex(signature), canonical.canonical(signed))
    # With a key of small order one signature is valid for many messages.
    require(verified and not has_small_order(key.key), "the proof was changed, or another key signed it")
    record = decisions.parse_record(_member(content, "record", dict), PROVED)
    versions = _member(content, "versions", dict)
    try:
        judged = [JudgedVersion("network", **versions["network"])]
        judged += [JudgedVersion(kind, **each) for kind in ("profile", "list") for each in versions[f"{kind}s"]]
        named = (record["inputs"]["network"], record["inputs"]["library"])
        outcome, own = record["outcome"], (versions["network"]["digest"], versions["library"])
        day = date.fromisoformat(record["inputs"]["day"])
        texts = [
            record["payment"],
            record["reason_code"],
            *record["messages"],
            *(each for one in judged for each in one),
        ]
        if not isinstance(record["messages"], list) or not all(isinstance(each, str) for each in texts):
            raise TypeError("a member is no text")
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"no proof: a member is missing or malformed: {error}", hint=_HINT) from error
    require(named == own, "the proof was made wrongly: its record names other digests than its versions")
    require(outcome in STORED_OUTCOMES.values(), f"the proof was made wrongly: its outcome is {outcome!r}")
    return Proof(record, tuple(judged), day, key)


def _parsed(proof: str | bytes | Mapping[str, Any]) -> dict[str, Any]:
    try:
        content = dict(json.loads(proof, object_pairs_hook=_members)) if isinstance(proof, str | bytes) else dict(proof)
    except (ValueError, TypeError, RecursionError) as error:
        raise UsageError("no proof: the value is not a JSON object", hint=_HINT) from error
    if content.get("format") in PROVED:
        raise UsageError("no proof: this is a record without a signature", hint="prove() signs it")
    if content.get("format") != FORMAT:
        raise UsageError(f"no proof: the format is {content.get('format')!r}", hint=f"known format: {FORMAT}")
    if content.keys() != set(_MEMBERS) or nesting.is_too_deep(content):
        raise UsageError(f"no proof: it has not the members {', '.join(_MEMBERS)}", hint=_HINT)
    try:
        canonical.canonical(content)  # lone surrogates have no UTF-8
    except UnicodeEncodeError as error:
        raise UsageError("no proof: it has characters that are not Unicode", hint=_HINT) from error
    return content


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON. Raise ValueError for a repeated name, which readers understand differently."""
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name is repeated")
    return members


def _member(content: Mapping[str, Any], name: str, kind: type) -> Any:
    value = content[name]
    if not isinstance(value, kind):
        raise UsageError(f"no proof: {name} is malformed", hint=_HINT)
    return value


def _version(version: str, of: Profile | List) -> dict[str, str]:
    return {"id": of.id, "version": version, "digest": canonical.digest(of)}


def _require_ed25519(key: PublicKey) -> None:
    if key.flags != ED25519:
        raise UsageError("a proof is signed with an Ed25519 key", hint="sycee key new makes one")
