"""Who vouches for what: attestations and their Ed25519 signatures.

An attestation is of topics ("inventory-complete") or of facts of a subject, by an organisation, as of a day. What its
own organisation says is self-signed; what another one says is third-party, or observed where that one measured it. All
three need a signature by the key that the organisation declares: who it was cannot be told otherwise. What is signed
holds the facts' values, so that a fact that was changed afterwards is found. What is merely declared needs none.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sycee.compliance import common_fields
from sycee.compliance.canonical import canonical
from sycee.compliance.facts import Assurance, Attestation, Element, Entity, Network, Value
from sycee.compliance.vocabulary import KINDS, ORGANISATION
from sycee.core import documents, typos
from sycee.core.documents import Table
from sycee.core.errors import UsageError
from sycee.core.keys import ED25519, SIGNATURE_BYTES, PublicKey, SigningKey

FORM: Final = "sycee.compliance.attestation.v1"  # changes when other bytes are signed for the same content
SIGNED: Final = tuple(each for each in Assurance if each is not Assurance.DECLARED)
SIGNATURE_PATTERN: Final = f"[0-9a-f]{{{2 * SIGNATURE_BYTES}}}"
WORDS: Final = {each.word: each for each in Assurance}


@dataclass(frozen=True, slots=True)
class UnverifiedAttestation:
    """An attestation as a file has it, before anybody looked at its signature."""

    attestation: Attestation
    signature: bytes
    table: Table


def read(table: Table, as_of: date, source: str) -> UnverifiedAttestation:
    """An attestation out of a table; `as_of` and `source` are the network's, where it says none of its own.

    DocumentError says what cannot be, and where. Subject, facts and signature are judged later, by `verified`.
    """
    day = common_fields.optional_day(table, "as_of", as_of) or as_of
    attestation = Attestation(
        subject=common_fields.name(table, "subject"),
        topics=_names(table, "topics"),
        facts=table.texts("facts", default=()),
        assurance=WORDS[table.choice("assurance", tuple(WORDS))],
        by=common_fields.name(table, "by"),
        as_of=day,
        expires=common_fields.until(table, "expires", day),
        signed="signature" in table,
        source=common_fields.optional(table, "source", source),
        place=f"{table.file}:{table.line()}",
    )
    if not attestation.topics and not attestation.facts:
        right = 'topics = ["inventory-complete"], or facts = ["operator"]'
        raise table.error(None, "says neither which topics nor which facts it is of", right=right)
    signature = _signature(table)
    table.finish()
    return UnverifiedAttestation(attestation, signature, table)


def verified(written: UnverifiedAttestation, network: Network) -> Attestation:
    """The attestation, when all that it says of this network holds. DocumentError if it does not.

    Its facts are declared, its signature is there where one is needed, and verifies, and what is self-signed is by the
    subject's own organisation.
    """
    attestation, table = written.attestation, written.table
    if problem := _problem(network, attestation):
        raise table.error(problem.key, problem.what, right=problem.right)
    if not attestation.signed:
        if attestation.assurance in SIGNED:
            right = f"have {attestation.by} sign it: sycee compliance attest"
            raise table.error(None, f"is {attestation.assurance.word} and has no signature", right=right)
        return attestation
    key = _key(network, attestation.by)
    if key is None:
        right = f'the public key of {attestation.by}, among the organisations: key = "…"'
        raise table.error("by", f"signed by {attestation.by}, which declares no key", right=right)
    if not key.verifies(written.signature, message(network, attestation)):
        right = f"take it out, and have {attestation.by} sign what is declared now: sycee compliance attest"
        what = f"does not verify: another key signed it, or what it vouches for is not what {attestation.by} signed"
        raise table.error("signature", what, right=right)
    return attestation


def message(network: Network, attestation: Attestation) -> bytes:
    """What is signed: canonical JSON of all that the attestation says, with the values of the facts that it names."""
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
    """The TOML of an [[attestations]] table of this network, signed.

    UsageError for a subject or facts that the network does not declare, an assurance that nobody signs, a signer that
    may not say so of the subject, or a key that is not the one that `by` declares.
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
    """Whether an Ed25519 public key, 32 bytes, is one of the few points of small order, for which anybody can sign.

    These are the points that come to nothing when they are doubled three times. On the curve of RFC 8032 they are those
    of y = 0, y = 1, y = -1, and d y^4 + 2 y^2 = 1, whose doubles have y = 0; here that is multiplied by 121,666.
    """
    y = int.from_bytes(key, "little") & ((1 << 255) - 1)
    square = y * y
    return y * (square - 1) * (-121_665 * square * square + 2 * 121_666 * square - 121_666) % ((1 << 255) - 19) == 0


def responsible_organisations(network: Network, entity: Entity) -> frozenset[str]:
    """The ids of the organisations that answer for it; none where that is not declared."""
    if entity.kind == ORGANISATION:
        return frozenset((entity.id,))
    responsible: set[str] = set()
    for name in KINDS[entity.kind].responsible:
        fact = entity.facts.get(name)
        for reference in _references(fact.value) if fact else ():
            other = network.entities.get(reference)
            responsible |= responsible_organisations(network, other) if other else {reference}
    return frozenset(responsible)


@dataclass(frozen=True, slots=True)
class _Problem:
    """What an attestation says that cannot be in its network, at which of its keys, and what would be right."""

    key: str
    what: str
    right: str


def _problem(network: Network, attestation: Attestation) -> _Problem | None:
    """The first thing that is wrong between attestation, subject and signer, before any signature."""
    subject = network.entities.get(attestation.subject)
    declared = subject.facts if subject else {}
    for name in attestation.facts:
        if name not in declared:
            right = typos.hint(name, declared, f"declared of it: {', '.join(declared) or 'nothing'}")
            return _Problem("facts", f"{attestation.subject} does not declare {documents.found(name)}", right)
    if attestation.assurance in SIGNED:
        responsible = responsible_organisations(network, subject) if subject else frozenset()
        itself, says_itself = attestation.by in responsible, attestation.assurance is Assurance.SELF_SIGNED
        if says_itself and not itself:
            who = ", ".join(sorted(responsible)) or "whoever answers for it, which is not declared"
            what = f"{attestation.by} does not answer for {attestation.subject}"
            return _Problem("by", what, f'by {who}; or assurance = "third-party"')
        if itself and not says_itself:
            what = f"{attestation.by} answers for {attestation.subject} itself"
            return _Problem("by", what, 'by another organisation; or assurance = "self-signed"')
    return None


def _check_signing(network: Network, attestation: Attestation, private_key: SigningKey) -> None:
    if attestation.subject not in network.entities:
        otherwise = "declare it first: what is not there cannot be vouched for"
        hint = typos.hint(attestation.subject, network.entities, otherwise)
        raise UsageError(f'the network declares no "{attestation.subject}"', hint=hint)
    organisations = [each.id for each in network.of_kind(ORGANISATION)]
    if attestation.by not in organisations:
        hint = typos.hint(attestation.by, organisations, "declare it first, with the key that it signs with")
        raise UsageError(f'the network declares no organisation "{attestation.by}"', hint=hint)
    if not attestation.topics and not attestation.facts:
        raise UsageError("nothing to vouch for", hint="name topics, or facts of the subject")
    for topic in attestation.topics:
        if not common_fields.TOPIC.fullmatch(topic):
            raise UsageError(f'"{topic}" is no topic', hint='such as "inventory-complete"')
    if attestation.assurance not in SIGNED:
        words = ", ".join(each.word for each in SIGNED)
        raise UsageError(f"what is {attestation.assurance.word} is not signed", hint=f"say one of {words}")
    if attestation.expires is not None and attestation.expires <= attestation.as_of:
        raise UsageError("an attestation has to expire after the day as of which it is made", hint="name a later day")
    if problem := _problem(network, attestation):
        raise UsageError(problem.what, hint=problem.right)
    if _key(network, attestation.by) != private_key.public:
        raise UsageError(
            f"the network does not declare this key as the key of {attestation.by}",
            hint=f'sign with the Ed25519 key of {attestation.by}, declared as key = "…" among the organisations',
        )


def _key(network: Network, organisation: str) -> PublicKey | None:
    entity = network.entities.get(organisation)
    fact = entity.facts.get("key") if entity and entity.kind == ORGANISATION else None
    return PublicKey(ED25519, bytes.fromhex(str(fact.value))) if fact else None


def _content(value: Value | Element) -> Any:
    """A value without where it was read: of elements, their own values and the days between which they count."""
    if isinstance(value, tuple):
        return [_content(each) for each in value]
    if isinstance(value, Element):
        facts = {name: _content(fact.value) for name, fact in value.facts.items()}
        return {"facts": facts, "from": value.from_date, "until": value.until_date}
    return value


def _references(value: Value) -> tuple[str, ...]:
    if isinstance(value, tuple):
        return tuple(each for each in value if isinstance(each, str))
    return (str(value),)


def _names(table: Table, key: str) -> tuple[str, ...]:
    topics = table.texts(key, default=())
    for topic in topics:
        if not common_fields.TOPIC.fullmatch(topic):
            right = 'small letters, digits and dashes, such as "inventory-complete"'
            raise table.error(key, f"found {documents.found(topic)}", right=right)
    return topics


def _signature(table: Table) -> bytes:
    if "signature" not in table:
        table.offer("signature")
        return b""
    value = table.text("signature")
    if len(value) != 2 * SIGNATURE_BYTES or not set(value) <= set("0123456789abcdef"):
        right = f"{2 * SIGNATURE_BYTES} hexadecimal digits, as sycee compliance attest writes them"
        raise table.error("signature", f"found {documents.found(value)}", right=right)
    return bytes.fromhex(value)
