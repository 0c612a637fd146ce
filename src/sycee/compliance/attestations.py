"""Attestations and their Ed25519 signatures.

An organisation attests topics ("inventory-complete") or facts of a subject, as of a day. An attestation by the
organisation that is responsible for the subject is self-signed; one by another organisation is third-party, or
observed if that organisation measured. All three need a signature by the declared key of the organisation, which
proves its identity. The signed message contains the values of the facts, so that a later change is detected. An
attestation with the assurance declared needs no signature.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, NamedTuple

from sycee.compliance import document_fields
from sycee.compliance.canonical import canonical
from sycee.compliance.facts import TOPICS, Assurance, Attestation, Element, Entity, Network, Value
from sycee.compliance.vocabulary import BASIS_POINTS, KINDS, ORGANISATION
from sycee.core import documents, typos
from sycee.core.documents import Table
from sycee.core.errors import UsageError
from sycee.core.keys import ED25519, SIGNATURE_BYTES, PublicKey, SigningKey

FORM: Final = "sycee.compliance.attestation.v1"  # changes when the signed bytes of the same content change
SIGNED: Final = tuple(each for each in Assurance if each > Assurance.DECLARED)
_CONTROL_BP: Final = BASIS_POINTS // 2  # an owner of half or more is of the same group
ATTESTED: Final = (Assurance.DECLARED, *SIGNED)
SIGNATURE_PATTERN: Final = f"[0-9a-f]{{{2 * SIGNATURE_BYTES}}}"


@dataclass(frozen=True, slots=True)
class UnverifiedAttestation:
    """An attestation from a file, before its signature is verified."""

    attestation: Attestation
    signature: bytes
    table: Table


def read(table: Table, as_of: date, source: str) -> UnverifiedAttestation:
    """Read an attestation; `as_of` and `source` of the network are the defaults.

    DocumentError for an invalid value. Subject, facts and signature are checked later, by `verified`.
    """
    attestation = document_fields.read(
        Attestation,
        table,
        as_of=document_fields.optional_day(table, "as_of", as_of),
        source=table.text("source", source),
        signed="signature" in table,
    )
    if attestation.assurance not in ATTESTED:
        words = ", ".join(each.word for each in ATTESTED)
        raise table.error("assurance", "a report in the press is no attestation", right=f"one of {words}")
    if not attestation.topics and not attestation.facts:
        right = 'topics = ["inventory-complete"], or facts = ["operator"]'
        raise table.error(None, "has neither topics nor facts", right=right)
    return UnverifiedAttestation(attestation, _signature(table), table)


def verified(unverified: UnverifiedAttestation, network: Network) -> Attestation:
    """Return the attestation after checking it against its network.

    DocumentError for a fact that is not declared, a signer that may not give this assurance, and a signature that is
    missing or does not verify.
    """
    attestation, table = unverified.attestation, unverified.table
    if problem := _problem(network, attestation):
        raise table.error(problem.key, problem.text, right=problem.right)
    if not attestation.signed:
        if attestation.assurance in SIGNED:
            right = f"have {attestation.by} sign it: sycee compliance attest"
            raise table.error(None, f"is {attestation.assurance.word} and has no signature", right=right)
        return attestation
    key = _key(network, attestation.by)
    if key is None:
        right = f'the public key of {attestation.by}, among the organisations: key = "…"'
        raise table.error("by", f"signed by {attestation.by}, which declares no key", right=right)
    if not key.verifies(unverified.signature, message(network, attestation)):
        right = f"remove it, and have {attestation.by} sign the present declarations: sycee compliance attest"
        problem_text = f"does not verify: signed by another key, or {attestation.by} signed other values"
        raise table.error("signature", problem_text, right=right)
    return attestation


def message(network: Network, attestation: Attestation) -> bytes:
    """Return the signed bytes: canonical JSON of the attestation, with the values of the facts that it names."""
    subject = network.entities.get(attestation.subject)
    facts = {name: _content(subject.facts[name].value) for name in attestation.facts} if subject else {}
    return canonical(
        {
            "form": FORM,
            "network": network.id,
            "subject": attestation.subject,
            "topics": sorted(attestation.topics),
            "facts": facts,
            "assurance": attestation.assurance,
            "by": attestation.by,
            "as_of": attestation.as_of,
            "expires": attestation.expires,
        }
    )


def sign(
    network: Network,
    subject: str,
    topics: Sequence[str],
    facts: Sequence[str],
    assurance: Assurance,
    by: str,
    as_of: date,
    expires: date | None,
    private_key: SigningKey,
) -> str:
    """Return the TOML of a signed [[attestations]] table for this network.

    UsageError for a subject or fact that is not declared, an assurance without signature, a signer that may not give
    this assurance, and a key that is not the declared key of `by`.
    """
    attestation = Attestation(subject, tuple(topics), tuple(facts), assurance, by, as_of, expires, signed=True)
    _check_signing(network, attestation, private_key)
    signature = private_key.sign(message(network, attestation))
    lines = [
        "[[attestations]]",
        f"subject = {json.dumps(subject)}",
        f"topics = {json.dumps(list(topics))}" if topics else "",
        f"facts = {json.dumps(list(facts))}" if facts else "",
        f"assurance = {json.dumps(assurance.word)}",
        f"by = {json.dumps(by)}",
        f"as_of = {as_of.isoformat()}",
        f"expires = {expires.isoformat()}" if expires else "",
        f"signature = {json.dumps(signature.hex())}",
    ]
    return "".join(f"{line}\n" for line in lines if line)


def has_small_order(key: bytes) -> bool:
    """Return whether an Ed25519 public key, 32 bytes, is a point of small order, for which anybody can sign.

    These are the points whose order divides 8. On the curve of RFC 8032 they have y = 0, y = 1, y = -1, or
    d y^4 + 2 y^2 = 1, so that their doubles have y = 0. The last equation is multiplied by 121,666 here.
    """
    y = int.from_bytes(key, "little") & ((1 << 255) - 1)
    square = y * y
    return y * (square - 1) * (-121_665 * square * square + 2 * 121_666 * square - 121_666) % ((1 << 255) - 19) == 0


def responsible_organisations(network: Network, entity: Entity) -> frozenset[str]:
    """Return the ids of the organisations that are responsible for an entity; empty if that is not declared."""
    if entity.kind == ORGANISATION:
        return frozenset((entity.id,))
    responsible: set[str] = set()
    for name in KINDS[entity.kind].responsible:
        for id in entity.values(name):
            other = network.entities.get(id)
            responsible |= responsible_organisations(network, other) if other else {id}
    return frozenset(responsible)


class _Problem(NamedTuple):
    """A contradiction between an attestation and its network: at which key, and what would be right."""

    key: str
    text: str
    right: str


def _problem(network: Network, attestation: Attestation) -> _Problem | None:
    """Return the first problem of attestation, subject and signer, before any signature is verified."""
    subject = network.entities.get(attestation.subject)
    declared = subject.facts if subject else {}
    for name in attestation.facts:
        if name not in declared:
            right = typos.hint(name, declared, f"declared facts: {', '.join(declared) or 'none'}")
            return _Problem("facts", f"{attestation.subject} does not declare {documents.found(name)}", right)
    if attestation.assurance in SIGNED:
        responsible = responsible_organisations(network, subject) if subject else frozenset()
        is_responsible = attestation.by in responsible
        self_signed = attestation.assurance is Assurance.SELF_SIGNED
        if self_signed and not is_responsible:
            signers = ", ".join(sorted(responsible)) or "the responsible organisation, which is not declared"
            problem = f"{attestation.by} is not responsible for {attestation.subject}"
            return _Problem("by", problem, f'by {signers}; or assurance = "third-party"')
        if is_responsible and not self_signed:
            problem = f"{attestation.by} itself is responsible for {attestation.subject}"
            return _Problem("by", problem, 'by another organisation; or assurance = "self-signed"')
        if not self_signed and (common := _common_group(network, attestation, responsible)):
            problem = (
                f"{attestation.by} and {common} are of one group, so it is no third party for {attestation.subject}"
            )
            return _Problem("by", problem, 'by an organisation outside of the group; or assurance = "declared"')
    return None


def _common_group(network: Network, attestation: Attestation, responsible: Iterable[str]) -> str:
    """Return the first responsible organisation of the signer's group; empty if there is none."""
    signer = _controllers(network, attestation.by, attestation.as_of)
    return next(
        (each for each in sorted(responsible) if signer & _controllers(network, each, attestation.as_of)),
        "",
    )


def _controllers(network: Network, organisation: str, day: date) -> frozenset[str]:
    """Return an organisation and all that control it on a day or later: its parent, and owners of half or more."""
    found, left = {organisation}, [organisation]
    while left:
        entity = network.entities.get(left.pop())
        if entity is None or entity.kind != ORGANISATION:
            continue
        owners: tuple[Element, ...] = entity.values("owners")
        above = [str(each) for each in entity.values("branch_of")]
        for each in owners:
            ended = each.until_date is not None and each.until_date <= day
            if not ended and sum(each.values("share_bp")) >= _CONTROL_BP:
                above += [str(owner) for owner in each.values("owner")]
        new = [each for each in above if each not in found]
        found.update(new)
        left += new
    return frozenset(found)


def _check_signing(network: Network, attestation: Attestation, private_key: SigningKey) -> None:
    subject, by = attestation.subject, attestation.by
    typos.require(subject, network.entities, f'the network declares no "{subject}"', "declare the subject first")
    organisations = [each.id for each in network.of_kind(ORGANISATION)]
    problem = f'the network declares no organisation "{by}"'
    typos.require(by, organisations, problem, "declare it first, with the key that it signs with")
    if not attestation.topics and not attestation.facts:
        raise UsageError("an attestation needs topics or facts", hint="name topics, or facts of the subject")
    for topic in attestation.topics:
        if not re.fullmatch(TOPICS.pattern, topic):
            raise UsageError(f'"{topic}" is not a topic', hint='such as "inventory-complete"')
    if attestation.assurance not in SIGNED:
        words = ", ".join(each.word for each in SIGNED)
        raise UsageError(f"the assurance {attestation.assurance.word} is never signed", hint=f"give one of {words}")
    if attestation.expires is not None and attestation.expires <= attestation.as_of:
        problem = f"an attestation must expire after {attestation.as_of}, its day; got {attestation.expires}"
        raise UsageError(problem, hint="name a later day")
    if problem_found := _problem(network, attestation):
        raise UsageError(problem_found.text, hint=problem_found.right)
    if _key(network, attestation.by) != private_key.public:
        raise UsageError(
            f"the network does not declare this key as the key of {attestation.by}",
            hint=f'sign with the Ed25519 key of {attestation.by}, declared as key = "…" among the organisations',
        )


def _key(network: Network, organisation: str) -> PublicKey | None:
    entity = network.entities.get(organisation)
    keys = entity.values("key") if entity and entity.kind == ORGANISATION else ()
    return PublicKey(ED25519, bytes.fromhex(keys[0])) if keys else None


def _content(value: Value | Element) -> Any:
    """Return a value without the place that it was read from; an element with its facts and its days."""
    if isinstance(value, tuple):
        return [_content(each) for each in value]
    if isinstance(value, Element):
        facts = {name: _content(fact.value) for name, fact in value.facts.items()}
        return {"facts": facts, "from": value.from_date, "until": value.until_date}
    return value


def _signature(table: Table) -> bytes:
    value = table.text("signature", "")
    if value and not re.fullmatch(SIGNATURE_PATTERN, value):
        right = f"{2 * SIGNATURE_BYTES} hexadecimal digits, as sycee compliance attest writes them"
        raise table.error("signature", f"found {documents.found(value)}", right=right)
    return bytes.fromhex(value)
