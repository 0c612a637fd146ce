"""`sycee compliance routes`, `split` and `diff`: routes, blocs, and verdicts that differ."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sycee.cli.compliance_options import (
    DEFAULT_INPUTS,
    STOPPED,
    At,
    Inputs,
    Lists,
    NetworkPath,
    columns,
    parse_states,
    print_json,
)
from sycee.cli.parameters import AsJson
from sycee.cli.terminal import console, progress
from sycee.core.documents import DocumentError
from sycee.core.errors import UsageError


def routes(
    network: NetworkPath,
    from_: Annotated[str | None, Parameter(name="from", help="The participant that sends.")] = None,
    to: Annotated[str | None, Parameter(help="The participant that receives.")] = None,
    /,
    *,
    flow: Annotated[str | None, Parameter(help="A declared flow, instead of FROM and TO.")] = None,
    purpose: Annotated[str | None, Parameter(help="The purpose, such as payment.")] = None,
    class_: Annotated[
        list[str] | None, Parameter(name="--class", help="A class of the data, such as personal. May be repeated.")
    ] = None,
    subject_state: Annotated[
        list[str] | None, Parameter(help="A state where the persons live whose data it is. May be repeated.")
    ] = None,
    origin: Annotated[str | None, Parameter(help="The state where the data arose.")] = None,
    currency: Annotated[str | None, Parameter(help="The currency of the payment, by ISO 4217.")] = None,
    inputs: Inputs = DEFAULT_INPUTS,
    enforce: Annotated[list[str] | None, Parameter(help="An advisory profile to enforce. May be repeated.")] = None,
    picture: Annotated[
        Path | None, Parameter(help="Write a picture of the network with the route, as SVG, to this file.")
    ] = None,
    json_: AsJson = False,
) -> int:
    """Find the best route for a flow under all enforced regimes, or the nearest miss; also under each regime alone.

    Facts that are not given are unknown. Exit code 1 if there is no route.
    """
    from sycee.compliance.enforcement import payment_flow
    from sycee.compliance.reports import routes, text
    from sycee.compliance.routing.routes import NearestMiss, Router

    if (flow is None) == (from_ is None and to is None) or (flow is None and to is None):
        raise UsageError("a route needs two participants", hint="name FROM and TO, or a flow with --flow")
    options = {
        "from": from_,
        "to": to,
        "purpose": purpose,
        "classes": class_,
        "subject_states": subject_state,
        "origin": origin,
        "currency": currency,
    }
    inputs.check_outputs({"--picture": picture}, [network])
    declared, library, day = inputs.load([network])
    facts = {name: value for name, value in options.items() if value is not None}
    try:
        # A question about other facts is no payment, so it may narrow the declared flow.
        given = declared, library, day, flow or "", facts
        flow_class = payment_flow.flow_class(*given, role="a person", reason="a question about routes")
    except DocumentError as error:
        raise _by_option(error) from error
    with console(stderr=True).status("searching routes"):
        comparison = Router(declared, library, day).compare(flow_class.entity, as_if_enforced=enforce or ())
    if picture is not None:
        from sycee.compliance.reports.picture import svg
        from sycee.core.output_files import write_file

        judged, together = inputs.judge([network]), comparison.together
        write_file(picture, svg(judged, route=together.edges, is_miss=isinstance(together, NearestMiss)).encode())
    if json_:
        print_json({"at": day.isoformat(), **routes.route_members(comparison)})
    else:
        name = declared.entities[flow].name if flow else f"{from_} to {to}"
        head = text.wrapped([f"{name}, as of {day}"], columns())
        print(f"{head}{routes.route_text(comparison, columns())}", end="")
    return STOPPED if isinstance(comparison.together, NearestMiss) else 0


def _by_option(error: DocumentError) -> UsageError:
    """Return the error of a fact with the option that gave it: the user wrote no document."""
    fact = error.key.partition(".")[2].partition("[")[0]
    word = {"from": "FROM", "to": "TO", "classes": "--class", "subject_states": "--subject-state"}.get(fact)
    return UsageError(f"{word or f'--{fact}'}: {error.problem}", hint=error.hint)


def split(
    network: NetworkPath,
    profile_1: Annotated[str, Parameter(name="PROFILE_1", help="A shipped profile by name, or a TOML file.")],
    profile_2: Annotated[str, Parameter(name="PROFILE_2", help="The other profile.")],
    /,
    *,
    first_state: Annotated[list[str] | None, Parameter(help="A state of the first bloc. May be repeated.")] = None,
    second_state: Annotated[list[str] | None, Parameter(help="A state of the second bloc. May be repeated.")] = None,
    list_: Lists = None,
    at: At = None,
    json_: AsJson = False,
) -> int:
    """Divide the network into two blocs: pairs that can still pay under each regime and under both, and the cost."""
    from sycee.compliance.reports import routes
    from sycee.compliance.routing.routes import Router
    from sycee.compliance.routing.split import split as split_network

    declared, library, day = Inputs([profile_1, profile_2], list_, at).load([network])
    names = [profile.id for profile in library.profiles]
    states = {
        name: parse_states(codes) for name, codes in zip(names, (first_state, second_state), strict=True) if codes
    }
    with progress("routing") as report:
        found = split_network(Router(declared, library, day), names[0], names[1], states=states, progress=report)
    if json_:
        print_json(routes.split_members(found))
    else:
        print(routes.split_text(found, columns()), end="")
    return 0


def diff(
    network: NetworkPath,
    /,
    *,
    to_network: Annotated[list[Path] | None, Parameter(help="The declarations afterwards. May be repeated.")] = None,
    inputs: Inputs = DEFAULT_INPUTS,
    to_profile: Annotated[list[str] | None, Parameter(help="A profile afterwards. May be repeated.")] = None,
    to_list: Annotated[list[Path] | None, Parameter(help="A list used afterwards. May be repeated.")] = None,
    to_at: Annotated[str | None, Parameter(help="The day judged afterwards.")] = None,
    json_: AsJson = False,
) -> int:
    """Show the verdicts that differ after a change of declarations, profiles, lists or the day.

    An input that is not given afterwards is the same as before. Exit code 1 if a finding newly stops something.
    """
    from sycee.compliance.reports import routes

    if not (to_network or to_profile or to_list or to_at):
        raise UsageError("nothing changes", hint="give --to-network, --to-profile, --to-list or --to-at")
    before = inputs.judge([network]).report
    day = to_at or inputs.at or before.at.isoformat()
    afterwards = Inputs(to_profile or inputs.profile, to_list or inputs.list_, day, inputs.trust)
    after = afterwards.judge(to_network or [network]).report
    found = routes.changes(before, after)
    if json_:
        print_json(routes.changes_members(before, after, found))
    else:
        print(routes.changes_text(before, after, found, columns()), end="")
    return STOPPED if any(each.stops == routes.NEW_STOP for each in found) else 0
