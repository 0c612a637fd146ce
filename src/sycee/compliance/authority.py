"""Authority over facts: which keys may declare, attest, waive and adopt, and for which subjects.

An authority file states it, apart from the declarations, so that no declarer can grant itself anything. A file of
declarations is signed for one network by a detached signature: `bank.toml.sig` beside `bank.toml`. It states the moment
of signing; `signature_log` compares that with the newest one seen::

    network = "two-banks"
    title = "Who may do what among two banks"
    mode = "signed-only"

    [[grants]]
    holder = "the first bank"
    key = "…"
    roles = ["declare"]
    subjects = ["first-bank", "first-bank-*"]
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final, NamedTuple
from zoneinfo import ZoneInfo

from blake3 import blake3

from sycee.compliance.attestations import SIGNATURE_PATTERN, has_small_order
from sycee.compliance.canonical import canonical
from sycee.compliance.document_fields import Name, number, one_of, read, read_tables
from sycee.compliance.facts import waiver_days_max
from sycee.compliance.verdicts import ON_PATH
from sycee.compliance.vocabulary import Field, Type
from sycee.core import documents
from sycee.core.documents import Table
from sycee.core.errors import UsageError
from sycee.core.keys import ED25519, PublicKey, SigningKey

FORM: Final = "sycee.compliance.file.v3"  # changes when the signed bytes of the same file change
SUFFIX: Final = ".sig"

DECLARE: Final = "declare"
ATTEST: Final = "attest"
WAIVE: Final = "waive"
ADOPT: Final = "adopt"
ROLES: Final = (DECLARE, ATTEST, WAIVE, ADOPT)

OPEN: Final = "open"  # a file without a signature may declare, and do nothing else
SIGNED_ONLY: Final = "signed-only"  # facts of a file without a signature are unknown

_SECOND_NS: Final = 10**9
_UTC: Final = ZoneInfo("UTC")
_KEY: Final = Field("", Type.TEXT, "an Ed25519 public key, 64 hexadecimal digits", pattern="[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a key may do. `subjects` are ids, in which `*` stands for any letters; for adoptions, ids of profiles."""

    holder: str
    key: Annotated[str, _KEY]
    roles: Annotated[tuple[str, ...], Field("", Type.WORDS, "", words=ROLES, least=1)]
    subjects: Annotated[tuple[str, ...], Field("", Type.WORDS, "", least=1)]

    def covers(self, role: str, subject: str) -> bool:
        """Return whether the grant is for this role and subject; for `FLOW @ ENTITY`, for both."""
        parts = subject.split(ON_PATH)
        return role in self.roles and all(any(fnmatchcase(part, each) for each in self.subjects) for part in parts)


@dataclass(frozen=True, slots=True)
class Authority:
    """The grants of one network."""

    network: Name
    title: str
    mode: Annotated[str, one_of((OPEN, SIGNED_ONLY), OPEN)]
    waiver_days_max: Annotated[int | None, number(1)]
    grants: tuple[Grant, ...]

    @property
    def signed_only(self) -> bool:
        """Whether facts without a signature are unknown."""
        return self.mode == SIGNED_ONLY

    def may(self, key: str, role: str, subject: str) -> bool:
        """Return whether a key, 64 hexadecimal digits, may do this for a subject."""
        return any(each.key == key and each.covers(role, subject) for each in self.grants)

    def holder(self, key: str) -> str:
        """Return the holder of a key, empty if it has no grant."""
        return next((each.holder for each in self.grants if each.key == key), "")


def load(path: Path) -> Authority:
    """Return the authority in a file. DocumentError for an invalid one."""
    return parse(documents.read(path))


def parse(table: Table) -> Authority:
    """Return the authority in a document. DocumentError for an invalid value."""
    grants = read_tables(table, "grants", _grant, required=True)
    authority = read(Authority, table, grants=grants)
    table.finish()
    longest = waiver_days_max()
    if authority.waiver_days_max is not None and authority.waiver_days_max > longest:
        problem = f"found {authority.waiver_days_max:,} days"
        raise table.error("waiver_days_max", problem, right=f"at most {longest}, the longest life of any waiver")
    holders: dict[str, str] = {}
    for each, grant in zip(table.tables("grants"), grants, strict=True):
        if holders.setdefault(grant.key, grant.holder) != grant.holder:
            problem = f"is the key of {holders[grant.key]} too: one key has one holder"
            raise each.error("key", problem, right="another key")
    return authority


def _grant(table: Table) -> Grant:
    grant = read(Grant, table, roles=table.texts("roles", choices=ROLES))
    if has_small_order(bytes.fromhex(grant.key)):
        raise table.error("key", "is a point of small order: anybody can sign with it", right="another key")
    return grant


# --- signatures of files ---


class FileSignature(NamedTuple):
    """A signature that was verified: the key, the network for which the file was signed, the moment, its document."""

    key: str
    network: str
    signed_ns: int  # nanoseconds since 1970-01-01T00:00Z, of a whole second
    table: Table


def sign(content: bytes, private_key: SigningKey, network: str, name: str, now_ns: int) -> str:
    """Return the detached signature of a file, of this name, for the network with this id, as TOML.

    The signature counts in no other network, and under no other name. UsageError for a key that is not Ed25519.
    """
    if private_key.public.flags != ED25519:
        raise UsageError("declarations are signed with Ed25519", hint="make a key with `sycee key new`")
    signed_ns = now_ns - now_ns % _SECOND_NS
    signature = private_key.sign(message(content, network, name, signed_ns)).hex()
    lines = {"key": private_key.public.key.hex(), "network": network, "file": name}
    texts = [f"{key} = {json.dumps(value)}" for key, value in lines.items()]
    return "".join(
        f"{line}\n" for line in (*texts, f"signed_at = {shown_moment(signed_ns)}", f'signature = "{signature}"')
    )


def message(content: bytes, network: str, name: str, signed_ns: int) -> bytes:
    """Return the signed bytes: canonical JSON of the format, the network, the name and digest of the file, the time."""
    of_file = {"file": name, "digest": blake3(content).hexdigest()}
    return canonical({"form": FORM, "network": network, "signed_ns": signed_ns, **of_file})


def shown_moment(moment_ns: int) -> str:
    """Return a moment in UTC, to the second, as TOML writes it."""
    return documents.shown_moment(moment_ns, _UTC)


def split(files: Mapping[str, bytes | str]) -> tuple[dict[str, bytes | str], dict[str, FileSignature]]:
    """Return the declarations among some files, and the signature of each signed one, by the name of its file.

    DocumentError for a signature that does not verify, UsageError for one whose file is not there.
    """
    plain = {name: content for name, content in files.items() if not name.endswith(SUFFIX)}
    signatures: dict[str, FileSignature] = {}
    for name, content in files.items():
        if name in plain:
            continue
        of = name.removesuffix(SUFFIX)
        if of not in plain:
            raise UsageError(
                f"{name} is the signature of a file that is not there", hint=f"give {of} too, or remove it"
            )
        signatures[of] = _verified(documents.parse(content, name), _bytes(plain[of]), Path(of).name)
    return plain, signatures


def _verified(table: Table, content: bytes, file: str) -> FileSignature:
    key, network, signature = table.text("key"), table.text("network"), table.text("signature")
    of, signed_ns = table.text("file"), table.moment("signed_at")
    table.finish()
    if of != file:
        right = f"the name {of} for the file, or a signature of it as it is named now: sycee compliance sign"
        raise table.error("file", f"the signature is of {documents.found(of)}, and given for {file}", right=right)
    for name, value, pattern in (("key", key, _KEY.pattern), ("signature", signature, SIGNATURE_PATTERN)):
        if not re.fullmatch(pattern, value):
            raise table.error(name, f"found {documents.found(value)}", right="as `sycee compliance sign` writes it")
    weak = has_small_order(bytes.fromhex(key))
    of_key, signed = PublicKey(ED25519, bytes.fromhex(key)), message(content, network, of, signed_ns)
    if weak or not of_key.verifies(bytes.fromhex(signature), signed):
        right = "sign the file as it is now: sycee compliance sign"
        raise table.error("signature", "does not verify: the file was changed, or another key signed it", right=right)
    return FileSignature(key, network, signed_ns, table)


def _bytes(content: bytes | str) -> bytes:
    return content.encode() if isinstance(content, str) else content
