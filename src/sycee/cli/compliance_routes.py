"""`sycee compliance routes`, `split` and `diff`: ways, blocs, and what changes when something else judges."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sycee.cli import console
from sycee.cli.compliance import (
    STOPPED,
    AsJson,
    At,
    Lists,
    NetworkPath,
    Profiles,
    check_places,
    columns,
    judged,
    loaded,
    progress,
    write,
)
from sycee.core.documents import DocumentError
from sycee.core.errors import UsageError
from sycee.core.terminal_text import printable

if TYPE_CHECKING:
    from sycee.compliance.routing.routes import RouteResult


def routes(
    network: NetworkPath,
    from_: Annotated[str | None, Parameter(name="from", help="The participant that sends.")] = None,
    to: Annotated[str | None, Parameter(help="The participant that receives.")] = None,
    /,
    *,
    flow: Annotated[str | None, Parameter(help="A flow that is declared, in place of FROM and TO.")] = None,
    purpose: Annotated[str | None, Parameter(help="What for, as payment.")] = None,
    class_: Annotated[
        list[str] | None, Parameter(name="--class", negative="", help="What the data is, as personal. May be repeated.")
    ] = None,
    subject_state: Annotated[
        list[str] | None, Parameter(negative="", help="Where those live whom it is about. May be repeated.")
    ] = None,
    origin: Annotated[str | None, Parameter(help="The state where the data arose.")] = None,
    currency: Annotated[str | None, Parameter(help="Of the payment, by ISO 4217.")] = None,
    profile: Profiles = None,
    list_: Lists = None,
    enforce: Annotated[
        list[str] | None, Parameter(negative="", help="A profile that stops though it only advises. May be repeated.")
    ] = None,
    at: At = None,
    picture: Annotated[
        Path | None, Parameter(help="Draw the network with the way found, as SVG, to this file.")
    ] = None,
    json_: AsJson = False,
) -> int:
    """Find the best way for a flow under all that is enforced, or the nearest miss; each regime alone beside it.

    What is not said of a flow is unknown. Exit code 1 where there is no route.
    """
    from sycee.compliance.enforcement import payment_flow
    from sycee.compliance.reports import routes, text
    from sycee.compliance.routing.routes import NearestMiss, Router

    if (flow is None) == (from_ is None and to is None) or (flow is None and to is None):
        raise UsageError("a way is from one participant to another", hint="name FROM and TO, or a flow with --flow")
    said = {
        "from": from_,
        "to": to,
        "purpose": purpose,
        "classes": class_,
        "subject_states": subject_state,
        "origin": origin,
        "currency": currency,
    }
    check_places({"--picture": picture}, [network], profile, list_)
    declared, library, day = loaded([network], profile, list_, at)
    given = {name: value for name, value in said.items() if value is not None}
    try:
        question = payment_flow.flow_class(declared, library, day, flow or "", given)
    except DocumentError as error:
        raise _of_option(error) from error
    with console(stderr=True).status("looking for ways"):
        comparison = Router(declared, library, day).compare(question.entity, as_if_enforced=enforce or ())
    if picture is not None:
        _draw(network, profile, list_, at, comparison.together, picture)
    if json_:
        print(json.dumps({"at": day.isoformat(), **routes.route_form(comparison)}, indent=2, ensure_ascii=False))
    else:
        what = declared.entities[flow].name if flow else f"{from_} to {to}"
        head = text.wrapped([f"{printable(what)}, as of {day}"], columns())
        print(f"{head}{routes.route_text(comparison, columns())}", end="")
    return STOPPED if isinstance(comparison.together, NearestMiss) else 0


def split(
    network: NetworkPath,
    first: Annotated[str, Parameter(help="A profile: one shipped, or a TOML file.")],
    second: Annotated[str, Parameter(help="Another one.")],
    /,
    *,
    first_state: Annotated[
        list[str] | None, Parameter(negative="", help="A state of the first bloc, whomever the profile touches.")
    ] = None,
    second_state: Annotated[list[str] | None, Parameter(negative="", help="One of the second.")] = None,
    list_: Lists = None,
    at: At = None,
    json_: AsJson = False,
) -> int:
    """See the network in two blocs: who can still pay whom under either regime and under both, and at what cost."""
    from sycee.compliance.reports import routes
    from sycee.compliance.routing.routes import Router
    from sycee.compliance.routing.split import split as split_in_blocs

    declared, library, day = loaded([network], [first, second], list_, at)
    names = [profile.id for profile in library.profiles]
    told = {name: _states(asked) for name, asked in zip(names, (first_state, second_state), strict=True) if asked}
    with progress("routing") as report:
        found = split_in_blocs(Router(declared, library, day), names[0], names[1], states=told, progress=report)
    if json_:
        print(json.dumps(routes.split_form(found), indent=2, ensure_ascii=False))
    else:
        print(routes.split_text(found, columns()), end="")
    return 0


def _states(codes: list[str]) -> list[str]:
    """The same, if each is the code of a state."""
    from sycee.compliance import territories

    for code in codes:
        if code not in territories.codes():
            near = territories.nearest(code)
            hint = f'did you mean "{near}"?' if near else "two capital letters, as declarations have it"
            raise UsageError(f"{code} is the code of no state", hint=hint)
    return codes


def diff(
    network: NetworkPath,
    /,
    *,
    to_network: Annotated[
        list[Path] | None, Parameter(negative="", help="The declarations afterwards, where they are others.")
    ] = None,
    profile: Profiles = None,
    to_profile: Annotated[
        list[str] | None, Parameter(negative="", help="A profile that judges afterwards, where others do.")
    ] = None,
    list_: Lists = None,
    to_list: Annotated[list[Path] | None, Parameter(negative="", help="A list that is looked at afterwards.")] = None,
    at: At = None,
    to_at: Annotated[str | None, Parameter(help="The day that is judged afterwards, where it is another.")] = None,
    json_: AsJson = False,
) -> int:
    """Tell what is judged otherwise when declarations, profiles, lists or the day change.

    What is not given afterwards stays as it was before. Exit code 1 where something stops now that did not.
    """
    from sycee.compliance.reports import routes

    if not (to_network or to_profile or to_list or to_at):
        raise UsageError("nothing changes", hint="say what does: --to-network, --to-profile, --to-list or --to-at")
    before = judged([network], profile, list_, at).report
    day = to_at or at or before.at.isoformat()
    after = judged(to_network or [network], to_profile or profile, to_list or list_, day).report
    found = routes.changes(before, after)
    if json_:
        print(json.dumps(routes.changes_form(before, after, found), indent=2, ensure_ascii=False))
    else:
        print(routes.changes_text(before, after, found, columns()), end="")
    return STOPPED if any(each.stops_now for each in found) else 0


def _of_option(error: DocumentError) -> UsageError:
    """A wrong fact of the flow that is asked for, by the option that gave it: whoever typed it wrote no file."""
    fact = error.key.partition(".")[2].partition("[")[0]
    word = {"from": "FROM", "to": "TO", "classes": "--class", "subject_states": "--subject-state"}.get(fact)
    return UsageError(f"{word or f'--{fact}'}: {error.problem}", hint=error.hint)


def _draw(
    network: Path,
    profiles: list[str] | None,
    lists: list[Path] | None,
    at: str | None,
    answer: RouteResult,
    file: Path,
) -> None:
    from sycee.compliance.reports import picture

    write(file, picture.svg(judged([network], profiles, lists, at), route=answer.edges))
