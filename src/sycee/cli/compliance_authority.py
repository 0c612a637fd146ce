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
    seen: Annotated[
        Path | None,
        Parameter(help="A log of the newest signatures seen, made if it is missing: an older signed file is an error."),
    ] = None,
    json_: AsJson = False,
) -> int:
    """Read declarations under an authority file; show who may do what, who signed which file, and what does not count.

    Exit code 2 if a key does what it has no authority for, or a signed file is older than one in the log. Without
    `--seen` an older file is not noticed.
    """
    from sycee.compliance import authority as authorities
    from sycee.compliance import declarations, signature_log
    from sycee.compliance.facts import waiver_days_max
    from sycee.compliance.reports import text
    from sycee.core.clock import RealClock
    from sycee.core.output_files import require_outputs, write_file

    require_outputs({"--seen": seen}, inputs=[authority, *networks])
    grants = authorities.load(authority)
    files = declarations.read_files(networks)
    plain, signatures = authorities.split(files)
    signers = {name: each.key for name, each in signatures.items()}
    network = declarations.parse_files(files, grants)
    if seen is not None:
        log = signature_log.load(seen)
        updated = log.updated(network, signatures, RealClock().now_ns())
        if updated != log:
            write_file(seen, updated.text().encode())
    longest = grants.waiver_days_max or waiver_days_max()
    if json_:
        members = [{"holder": each.holder, "key": each.key} for each in grants.grants]
        for member, each in zip(members, grants.grants, strict=True):
            member |= {"roles": list(each.roles), "subjects": list(each.subjects)}  # type: ignore[dict-item]
        moments = {name: authorities.shown_moment(each.signed_ns) for name, each in signatures.items()}
        signed = {name: {"key": signers.get(name), "holder": grants.holder(signers.get(name, ""))} for name in plain}
        signed = {name: {**each, "signed_at": moments.get(name)} for name, each in signed.items()}
        content = {"network": network.id, "mode": grants.mode, "waiver_days_max": longest, "grants": members}
        print_json({**content, "files": signed, "notes": list(network.notes)})
        return 0
    lines = [f"{grants.title}: {network.id}, {grants.mode}, waivers of at most {longest} days"]
    for each in grants.grants:
        lines.append(f"  {each.holder} ({each.key[:16]}…): {', '.join(each.roles)} for {', '.join(each.subjects)}")
    for name in plain:
        key = signers.get(name)
        by = "not signed"
        if key is not None:
            at = authorities.shown_moment(signatures[name].signed_ns)
            by = f"signed by {grants.holder(key) or 'a key without a grant'} at {at}"
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
    """Sign files of declarations for one network: write FILE.sig beside each, with the moment of signing.

    A later change of a file makes its signature invalid, and so does another name of the file.
    """
    from sycee.compliance import authority as authorities
    from sycee.compliance import declarations
    from sycee.core import documents
    from sycee.core.clock import RealClock
    from sycee.core.errors import UsageError
    from sycee.core.keys import SigningKey
    from sycee.core.output_files import write_file

    private_key = SigningKey.load(key)
    # All files are read before the first signature is written.
    contents = {each: documents.content(each) for each in files}
    of = network or declarations.network_id({str(each): content for each, content in contents.items()})
    if not of:
        hint = "give --network with the id of the network that the files belong to"
        raise UsageError(
            "no file has a [network], so it is not known which network the files are signed for", hint=hint
        )
    now_ns = RealClock().now_ns()
    signatures = [Path(f"{each}{authorities.SUFFIX}") for each in contents]
    for path, (file, content) in zip(signatures, contents.items(), strict=True):
        write_file(path, authorities.sign(content, private_key, of, file.name, now_ns).encode())
    if json_:
        written = [str(each) for each in signatures]
        print_json({"key": private_key.public.key.hex(), "network": of, "signatures": written})
    else:
        for path in signatures:
            print(f"{path}: signed for {of} by {private_key.public.key.hex()}")
    return 0
