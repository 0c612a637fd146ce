"""`sycee compliance trust` and `sign`: who may declare, attest, waive and adopt, and signatures of files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sycee.cli.compliance_options import columns, print_json
from sycee.cli.parameters import AsJson


def trust(
    authority: Annotated[Path, Parameter(help="The authority file, kept apart from the declarations.")],
    networks: Annotated[list[Path], Parameter(help="Folders of declarations, or files; they form one network.")],
    /,
    *,
    json_: AsJson = False,
) -> int:
    """Read declarations under an authority file; show who may do what, who signed which file, and what does not count.

    Exit code 2 if a key does what it has no authority for.
    """
    from sycee.compliance import authority as authorities
    from sycee.compliance import declarations
    from sycee.compliance.facts import waiver_days_max
    from sycee.compliance.reports import text

    grants = authorities.load(authority)
    files = declarations.read_files(networks)
    plain, signatures = authorities.split(files)
    signers = {name: each.key for name, each in signatures.items()}
    network = declarations.parse_files(files, grants)
    longest = grants.waiver_days_max or waiver_days_max()
    if json_:
        members = [{"holder": each.holder, "key": each.key} for each in grants.grants]
        for member, each in zip(members, grants.grants, strict=True):
            member |= {"roles": list(each.roles), "subjects": list(each.subjects)}  # type: ignore[dict-item]
        signed = {name: {"key": signers.get(name), "holder": grants.holder(signers.get(name, ""))} for name in plain}
        content = {"network": network.id, "mode": grants.mode, "waiver_days_max": longest, "grants": members}
        print_json({**content, "files": signed, "notes": list(network.notes)})
        return 0
    lines = [f"{grants.title}: {network.id}, {grants.mode}, waivers of at most {longest} days"]
    for each in grants.grants:
        lines.append(f"  {each.holder} ({each.key[:16]}…): {', '.join(each.roles)} for {', '.join(each.subjects)}")
    for name in plain:
        key = signers.get(name)
        by = "not signed" if key is None else f"signed by {grants.holder(key) or 'a key without a grant'}"
        lines.append(f"  {name}: {by}")
    lines += [f"  does not count: {each}" for each in network.notes]
    print(text.wrapped(lines, columns()), end="")
    return 0


def sign(
    files: Annotated[list[Path], Parameter(help="Files of declarations.")],
    /,
    *,
    key: Annotated[Path, Parameter(help="The file of the private key, from `sycee key new`.")],
    network: Annotated[
        str | None,
        Parameter(help="The id of the network that the files are signed for [default: of the [network] in a file]."),
    ] = None,
    json_: AsJson = False,
) -> int:
    """Sign files of declarations for one network: write FILE.sig beside each.

    A later change of a file makes its signature invalid.
    """
    from sycee.compliance import authority as authorities
    from sycee.compliance import declarations
    from sycee.core import documents
    from sycee.core.errors import UsageError
    from sycee.core.keys import SigningKey
    from sycee.core.output_files import write_file

    private_key = SigningKey.load(key)
    # All files are read before the first signature is written.
    signatures = {Path(f"{each}{authorities.SUFFIX}"): documents.content(each) for each in files}
    of = network or declarations.network_id({str(each): documents.content(each) for each in files})
    if not of:
        hint = "give --network with the id of the network that the files belong to"
        raise UsageError(
            "no file has a [network], so it is not known which network the files are signed for", hint=hint
        )
    for path, content in signatures.items():
        write_file(path, authorities.sign(content, private_key, of).encode())
    if json_:
        written = [str(each) for each in signatures]
        print_json({"key": private_key.public.key.hex(), "network": of, "signatures": written})
    else:
        for path in signatures:
            print(f"{path}: signed for {of} by {private_key.public.key.hex()}")
    return 0
