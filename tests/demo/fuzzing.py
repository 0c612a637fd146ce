"""Random requests to a running `sycee demo`, in every role that it has, compared with the API's document.

`schemathesis` makes right and wrong requests from /openapi.json. Ids, names and other values of answers are used in
later requests, records are signed with the keys of the demo, and each answer's status, type and fields are compared.
"""

from __future__ import annotations

import json
import random
import re
import time
import warnings
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import requests
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from schemathesis import Case, GenerationMode
from schemathesis.core.transport import Response
from schemathesis.schemas import APIOperation
from tests.server.auth.authenticator import Authenticator
from tests.server.documented import differences, new_session, operations_of
from tests.server.samples import Samples
from tests.server.world import envelopes
from tools.operations_page import NO, cell

from sycee import data
from sycee.client.tokens import FORM, TOKEN_PATH, Credentials, Tokens, signed
from sycee.core import ids
from sycee.core.clock import RealClock
from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey
from sycee.core.records import proposal_format
from sycee.demo.folder import Demo, Role
from sycee.server.operations import ACCESS

# A stream has no end. The others take a role its login or its duty.
SKIPPED = {"follow_events", "log_out", "end_logins", "revoke_client"}
JSON = "application/json"
WAIT_S = 60
SENDERS = 100  # addresses of this machine, since the limits of one address would hide what comes after them
LEARNT_MAX = 40  # values of one name; later ones replace random ones
TEXT_CHARACTERS_MAX = 300
SIGNED_ROUNDS_MAX = 3
# Names under which answers have the things that a path or a body names otherwise.
ALSO = {
    "wallet": ("account",),
    "account": ("wallet",),
    "payer": ("account", "wallet"),
    "payee": ("account", "wallet"),
    "person": ("holder",),
    "holder": ("person",),
    "owner": ("person", "holder"),
    "guardian": ("person",),
    "signer": ("person",),
    "file": ("id",),
    "institution": ("merchant",),
    "alias": ("phone",),
    "expires_ns": ("until_ns",),
    "effective_ns": ("until_ns",),
    "from_day": ("day",),
    "occurrence": ("number",),
    "entry": ("number",),
    "programme": ("name",),
}
HOSTILE: tuple[Any, ...] = (
    *("", " ", "0", "-1", "\0", "\ud800", "\u202e", "ä" * 200, "x" * 5_000, "9" * 19, "9" * 400, "1e9", "2026-02-30"),
    *(0, -1, 1, 2**31, 2**53, 2**63 - 1, 2**63, -(2**63), 10**400, 0.5, 1e308, True, None, [], {}, [[]], {"": ""}),
)  # fmt: skip


class Anonymous(AuthBase):
    """A sender without a login, from a page of the server."""

    name = duty = "anonymous"

    def __init__(self, origin: str) -> None:
        self.origin = origin

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update({"Origin": self.origin, "Sec-Fetch-Site": "same-origin"})
        return request


class Citizen(Anonymous):
    """A citizen with a passkey, which the code of an invitation made, and the session that it began."""

    name = duty = "citizen"

    def __init__(self, address: str, origin: str, code: str) -> None:
        super().__init__(origin)
        with httpx.Client(base_url=address, headers={"Origin": origin}, timeout=WAIT_S) as http:
            asked = http.post("/auth/passkeys/registration/options", json={"invitation": code})
            assert asked.status_code == 200, asked.text
            made = Authenticator(origin, str(urlsplit(origin).hostname)).create(asked.json()["publicKey"])
            begun = http.post("/auth/passkeys/registration", json={"credential": made})
            assert begun.status_code == 204, begun.text
            self.cookie = "; ".join(f"{each.name}={each.value}" for each in http.cookies.jar)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Cookie"] = self.cookie
        return super().__call__(request)


class Program(AuthBase):
    """A program of a role: access tokens and proofs as the product's client makes them."""

    def __init__(self, address: str, origin: str, role: Role, keys: Path) -> None:
        self.name, self.duty, self.person = role.name, role.duty, role.person
        self.key = SigningKey.load(keys / role.key)
        self._url = address + TOKEN_PATH
        self._credentials = Credentials(role.client, SigningKey.load(keys / role.client_key))
        self._tokens = Tokens(self._credentials, origin, RealClock().now_ns)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        token = self._tokens.current() or self._new_token()
        request.headers.update(self._tokens.headers(str(request.method), urlsplit(str(request.url)).path, token))
        return request

    def _new_token(self) -> str:
        asked_s = time.monotonic()
        headers = {**self._tokens.headers("POST", TOKEN_PATH), "content-type": FORM}
        answer = httpx.post(self._url, content=self._tokens.form(), headers=headers, timeout=WAIT_S)
        assert self._tokens.keep(answer.json(), asked_s), answer.text
        return self._tokens.current()


class Forger(Program):
    """A registered program whose proofs and assertions have one hostile value, under its own valid signature."""

    def __init__(self, address: str, origin: str, role: Role, keys: Path, chance: random.Random) -> None:
        super().__init__(address, origin, role, keys)
        self.name, self.duty, self._chance = "forger", "anonymous", chance

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        super().__call__(request)
        request.headers["DPoP"] = self._forged(request.headers["DPoP"])
        return request

    def form(self) -> dict[str, Any]:
        """The form of a request for a token, whose assertion or another field has the hostile value."""
        fields: dict[str, Any] = dict(parse_qsl(self._tokens.form().decode()))
        if self._chance.random() < 0.3:
            fields[self._chance.choice(["client_id", "scope", "grant_type", "x"])] = _text(self._chance.choice(HOSTILE))
        else:
            fields["client_assertion"] = self._forged(fields["client_assertion"])
        return fields

    def _forged(self, token: str) -> str:
        parts = [json.loads(urlsafe_b64decode(each + "==")) for each in token.split(".")[:2]]
        part = self._chance.choice(parts)
        part[self._chance.choice([*part, "nonce", "nbf", "crit", "x"])] = self._chance.choice(HOSTILE)
        return signed(*parts, self._credentials.key)


Sender = Anonymous | Program


class _From(HTTPAdapter):
    """Connections from one address of this machine."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named, source_address=(self._address, 0))


class Learnt(Samples):
    """Requests with values of earlier answers, by the names of their members."""

    def __init__(self, document: dict[str, Any], chance: random.Random) -> None:
        super().__init__(document, {})
        self._chance = chance
        self._values: dict[str, list[Any]] = {}

    def add(self, name: str, value: Any) -> None:
        """Keep a value, or each part of it."""
        if isinstance(value, dict):
            for inner, each in value.items():
                self.add(inner, each)
        elif isinstance(value, list):
            for each in value[:5]:
                self.add(name, each)
        elif isinstance(value, int | str) and not isinstance(value, bool) and value != "":
            known = self._values.setdefault(name, [])
            if value in known or len(str(value)) > TEXT_CHARACTERS_MAX:
                return
            if len(known) < LEARNT_MAX:
                known.append(value)
            else:
                known[self._chance.randrange(LEARNT_MAX)] = value

    def known(self, name: str, schema: dict[str, Any]) -> Any:
        """A value for a member of this name, which fits the schema; None if none is known."""
        known = [value for each in (name, *ALSO.get(name, ())) for value in self._values.get(each, ())]
        self._chance.shuffle(known)
        return next((each for each in known if _fits(each, schema)), None)

    def path_parameters(self, operation: APIOperation) -> dict[str, Any]:
        """A value for each parameter of an operation's path."""
        described = self.document["paths"][operation.path][operation.method.lower()].get("parameters", ())
        return {each["name"]: self._sample(each["name"], each["schema"]) for each in described if each["in"] == "path"}


def _fits(value: Any, schema: dict[str, Any]) -> bool:
    """Return whether a text or an integer fits the simple rules of a schema."""
    if "anyOf" in schema:
        return any(_fits(value, each) for each in schema["anyOf"])
    if "enum" in schema:
        return value in schema["enum"]
    if schema.get("type") == "integer":
        return isinstance(value, int) and schema.get("minimum", value) <= value <= schema.get("maximum", value)
    if schema.get("type") != "string":
        return "type" not in schema
    if schema.get("format") == "date" and not re.fullmatch(r"\d{4}-\d\d-\d\d", str(value)):
        return False
    least, most = schema.get("minLength", 0), schema.get("maxLength", TEXT_CHARACTERS_MAX)
    return isinstance(value, str) and least <= len(value) <= most and bool(re.search(schema.get("pattern", ""), value))


class Fuzzer:
    """Requests to all operations, and the findings: one line for each operation and kind of finding."""

    def __init__(self, address: str, demo: Demo, keys: Path, code: str, number: int) -> None:
        """`code`: of an invitation for the first citizen. `number`: the seed."""
        origin = address.replace("127.0.0.1", "localhost")
        self._address = address
        self._chance = random.Random(number)
        self._keys = [SigningKey.load(path) for path in sorted(keys.glob("*.pem"))]
        self.senders: list[Sender] = [
            Anonymous(origin),
            Citizen(address, origin, code),
            *(Program(address, origin, each, keys) for each in demo.roles),
            Forger(address, origin, demo.role("north"), keys, self._chance),
        ]
        self._sessions = [_session(f"127.0.0.{10 + at}") for at in range(SENDERS)]
        document = httpx.get(f"{address}/openapi.json", timeout=WAIT_S).json()
        self.operations = operations_of(document, SKIPPED)
        self._learnt = Learnt(document, self._chance)
        for name in ("roles", "shops", "wallets"):
            self._learnt.add(name, [vars_of(each) for each in getattr(demo, name)])
        self._learnt.add("request", demo.request)
        self._learnt.add("proposal", demo.proposal)
        self._learnt.add("operator", [2, 3])
        self._learnt.add("currency", [demo.currency])
        self._learnt.add("kind", ["complaint", "dispute"])
        self._learnt.add("until_ns", str(time.time_ns() + 3_600 * 10**9))
        self._learnt.add("day", time.strftime("%Y-%m-%d", time.gmtime()))
        self.findings: dict[str, str] = {}
        self.statuses: Counter[int] = Counter()
        self.roles: Counter[str] = Counter()
        self.reached: set[str] = set()  # operations with an answer 2xx

    def prepare(self) -> None:
        """Read every list as every role, to learn what exists, and draft a programme."""
        named = {each.definition.raw["operationId"]: each for each in self.operations}
        for operation in self.operations:
            if operation.method.upper() == "GET" and "{" not in operation.path:
                for sender in self.senders:
                    self._send(self._sample(operation), sender)
        for name in ("open_funder", "draft_programme", "open_case"):
            for sender in self.senders:
                self._send(self._sample(named[name]), sender)

    def run(self, operations: Iterable[APIOperation], examples: int, is_over: Callable[[], bool] = bool) -> None:
        """Send `examples` requests of each of three kinds to each operation: right ones, wrong ones, and samples."""
        for operation in operations:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                if is_over():
                    return
                self._random(operation, mode, examples)
            if operation.definition.raw["operationId"] == "request_token":
                self._forge_tokens(operation, examples)
            for _ in range(examples):
                if operation.definition.raw["operationId"] == "sign_proposal" and self._sign_a_proposal(operation):
                    continue
                self._send(self._sample(operation, is_hostile=self._chance.random() < 0.5), self._sender(operation))

    def report(self) -> Iterator[str]:
        """Yield the lines of the outcome."""
        yield f"{self.statuses.total():,} requests to {len(self.operations)} operations in {len(self.senders)} roles"
        yield "by status: " + ", ".join(f"{status}: {count:,}" for status, count in sorted(self.statuses.items()))
        yield "by role: " + ", ".join(f"{role}: {count:,}" for role, count in self.roles.most_common())
        missed = [each.definition.raw["operationId"] for each in self.operations]
        missed = [each for each in missed if each not in self.reached]
        yield f"{len(self.reached)} operations answered 2xx; never: {', '.join(missed) or 'none'}"
        yield f"{len(self.findings)} findings"
        yield from (f"{name}: {text}" for name, text in self.findings.items())

    # --- requests ---

    def _random(self, operation: APIOperation, mode: GenerationMode, examples: int) -> None:
        @seed(self._chance.randrange(2**32))
        @settings(
            max_examples=examples, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: Case) -> None:
            if mode is GenerationMode.POSITIVE and self._chance.random() < 0.7:
                self._put_learnt(case)
            self._send(case, self._sender(operation))

        # An operation without parameters has no wrong request.
        with warnings.catch_warnings(), suppress(Unsatisfiable):
            warnings.simplefilter("ignore")
            check()

    def _put_learnt(self, case: Case) -> None:
        """Replace parameters of the path, and members of the body, by values of earlier answers."""
        for part, value in self._learnt.path_parameters(case.operation).items():
            case.path_parameters[part] = value
        if isinstance(case.body, dict):
            sample = self._learnt.body(case.operation.method, case.operation.path) or {}
            for name in case.body.keys() & sample.keys():
                if self._chance.random() < 0.5:
                    case.body[name] = sample[name]

    def _sample(self, operation: APIOperation, *, is_hostile: bool = False) -> Case:
        """A request with the required members alone, which names existing things; or with one hostile value."""
        method, path = operation.method, operation.path
        described = self._learnt.path_parameters(operation)
        query, body = self._learnt.query(method, path), self._learnt.body(method, path)
        if body is not None and operation.definition.raw["operationId"] == "draft_programme":
            text = data.file("pilots", "luohu-2020", "programme")[1].decode()
            named = re.findall(r'^\[\[operators\]\]\nname = "(.+?)"', text, re.MULTILINE)
            body |= {"text": text, "operators": dict.fromkeys(named, 2)}
        places: list[tuple[dict[str, Any], str]] = [(query, each) for each in query]
        places += [(described, each) for each in described]
        places += [(each, name) for each in _objects(body) for name in each]
        if is_hostile and places:
            place, name = self._chance.choice(places)
            value = self._chance.choice(HOSTILE)
            place[name] = value if place is not described and place is not query else _text(value)
        given = {} if body is None else {"body": body, "media_type": JSON}
        made: Case = operation.Case(path_parameters=described, query=query, **given)
        return made

    def _sender(self, operation: APIOperation) -> Sender:
        """A sender, more often one whose role may call the operation."""
        access = operation.definition.raw[ACCESS]
        allowed = [each for each in self.senders if cell(access, each.duty) != NO]
        return self._chance.choice(allowed if allowed and self._chance.random() < 0.8 else self.senders)

    def _send(self, case: Case, sender: Sender) -> None:
        """Send a request. Sign what its answer asks for and send it again; send some requests twice."""
        answer = self._answer(case, sender)
        for _ in range(SIGNED_ROUNDS_MAX):
            if answer is None or answer.status_code != 202 or not self._sign(case, answer):
                break
            answer = self._answer(case, sender)
        if answer is not None and answer.status_code in (201, 409) and self._chance.random() < 0.3:
            self._answer(case, self._chance.choice([sender, self._sender(case.operation)]))

    def _answer(self, case: Case, sender: Sender) -> Response | None:
        session, what = self._chance.choice(self._sessions), f"{case.method} {case.path}"
        shown = f"{sender.name} {case.path_parameters} {case.query} {str(case.body)[:600]}"
        try:
            answer = case.call(base_url=self._address, session=session, timeout=WAIT_S, auth=sender)
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader, UnicodeError, UsageError):
            return None  # a request that no library sends
        except requests.exceptions.RequestException as error:
            self.findings.setdefault(f"{what} {type(error).__name__}", f"{shown}: {error}")
            return None
        status = answer.status_code
        self.statuses[status] += 1
        self.roles[sender.name] += 1
        for name, text in differences(case, answer):
            self.findings.setdefault(name, f"{shown}: {text}")
        if status < 300:
            self.reached.add(case.operation.definition.raw["operationId"])
            with suppress(ValueError):
                name = re.sub(r".*/(\w+?)s?$", r"\1", case.path)  # the `id` of /v1/wallets is a wallet
                found = answer.json()
                self._learnt.add(name, found)
                for row in found.get("rows", [found]) if isinstance(found, dict) else ():
                    if isinstance(row, dict):
                        self._learnt.add(
                            name, next((row[each] for each in ("id", "account", "name") if each in row), "")
                        )
        return answer

    def _forge_tokens(self, operation: APIOperation, count: int) -> None:
        """Ask for tokens with assertions and proofs of which one has a hostile value."""
        (forger,) = [each for each in self.senders if isinstance(each, Forger)]
        for _ in range(count):
            sender = self._chance.choice([forger, *self.senders])
            self._send(operation.Case(body=forger.form(), media_type=FORM), sender)

    def _sign_a_proposal(self, operation: APIOperation) -> bool:
        """Sign an open proposal as one of its signers; return whether there is one."""
        sender = self._chance.choice([each for each in self.senders if type(each) is Program])
        shown = {"params": {"state": "open"}, "auth": sender, "timeout": WAIT_S}
        found = self._sessions[0].get(f"{self._address}/v1/proposals", **shown).json().get("rows", ())
        if not found:
            return False
        proposal = self._chance.choice(found)["proposal"]
        read = self._sessions[0].get(f"{self._address}/v1/proposals/{proposal}", **shown).json()
        parsed = proposal_format.Proposal.parse(json.dumps(read["document"]))
        made = proposal_format.sign(parsed, ids.parse(sender.person), sender.key)
        body = json.loads(made.text())
        self._send(operation.Case(path_parameters={"proposal": proposal}, body=body, media_type=JSON), sender)
        return True

    def _sign(self, case: Case, answer: Response) -> bool:
        """Put the signatures into the body that an answer 202 asks for; return whether the demo has the keys."""
        members, body = answer.json(), case.body
        by_text = {str(key.public): key for key in self._keys}
        if not isinstance(body, dict):
            return False
        if "to_sign" in members:
            if not {each["key"] for each in members["to_sign"]["signers"]} <= by_text.keys():
                return False
            body["envelopes"] = [*body.get("envelopes", ()), *envelopes(members["to_sign"], self._keys)]
            return True
        message = members["message_to_sign"]
        if message["key"] not in by_text:
            return False
        body["signature"] = by_text[message["key"]].sign(bytes.fromhex(message["message"])).hex()
        return True


def _session(address: str) -> requests.Session:
    session = new_session()
    session.mount("http://", _From(address))
    return session


def vars_of(described: Any) -> dict[str, Any]:
    """Return the members of a role, a shop or a wallet of a demo."""
    return {name: getattr(described, name) for name in described.__slots__}


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object within a body."""
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _objects(each)


def _text(value: Any) -> str:
    """Return a value as a part of an address, which has no text that is not UTF-8."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "replace").decode() or "x"
