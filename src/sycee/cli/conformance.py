"""`sycee conformance`: check an integration against a running server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sycee.cli.parameters import AsJson
from sycee.cli.terminal import note, print_table, progress, show, show_json, table
from sycee.core.errors import UsageError
from sycee.core.extras import extra


def conformance(
    url: Annotated[str, Parameter(help="Address of the server.")],
    /,
    *,
    client: Annotated[str, Parameter(help="Id of the registered program.")],
    client_key: Annotated[Path, Parameter(help="File with the private key of the program.")],
    payer: Annotated[str, Parameter(help="Id of a wallet with its own key, which pays.")],
    payer_key: Annotated[Path, Parameter(help="File with the private key of the payer's wallet.")],
    payee: Annotated[str, Parameter(help="Id of a wallet with its own key, which is paid and refunds.")],
    payee_key: Annotated[Path, Parameter(help="File with the private key of the payee's wallet.")],
    receiver: Annotated[str, Parameter(help="Also check this address, which receives webhooks.")] = "",
    webhook_key: Annotated[
        Path | None, Parameter(help="File with the Ed25519 private key whose public key the receiver trusts.")
    ] = None,
    origin: Annotated[str, Parameter(help="Public address of the server, if URL is another one.")] = "",
    json_: AsJson = False,
) -> int:
    """Check an integration against a running server: signatures, repetition, refunds, clocks and webhooks.

    Moves a few minor units between two wallets, and back. Exit code 1 if a check fails.
    """
    with extra("client"):
        from sycee.client import Credentials, Signer
        from sycee.conformance.checks import Integration
        from sycee.conformance.running import FAILED, OK, run
    from sycee.core.keys import ED25519, SigningKey

    if bool(receiver) is not (webhook_key is not None):
        raise UsageError("--receiver and --webhook-key belong together", hint="`sycee key new` makes a key")
    key = SigningKey.load(webhook_key) if webhook_key is not None else None
    if key is not None and key.public.flags != ED25519:
        raise UsageError("webhooks are signed with Ed25519", hint="name an Ed25519 key: `sycee key new`")
    tested = Integration(
        url=url,
        credentials=Credentials(client, SigningKey.load(client_key)),
        payer=Signer.of(payer, SigningKey.load(payer_key)),
        payee=Signer.of(payee, SigningKey.load(payee_key)),
        origin=origin,
        receiver=receiver,
        webhook_key=key,
    )
    with progress("checking", "checks") as shown:
        findings = run(tested, progress=shown)
    failed = [each for each in findings if each.result == FAILED]
    if json_:
        show_json({"url": url, "ok": not failed, "checks": [each.document() for each in findings]})
        return 1 if failed else 0
    made = table("group", "check", "result", "found", "ms", numbers=("ms",))
    for each in findings:
        made.add_row(each.check.group, each.check.name, each.result, each.found, str(each.ms))
    print_table(made)
    for each in failed:
        note(f"{each.check.group} {each.check.name}: expected: {each.check.expected}")
    passed = sum(each.result == OK for each in findings)
    show(f"{passed} checks passed, {len(failed)} failed, {len(findings) - passed - len(failed)} skipped", style="bold")
    return 1 if failed else 0
