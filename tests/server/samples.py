"""Requests for every operation of the API, made from its OpenAPI document and the things of a bank."""

from __future__ import annotations

from typing import Any

from tests.server.office import Office
from tests.server.world import new_id

from sycee.core import ids
from sycee.core.keys import SigningKey

KEY = SigningKey.derive(bytes([130]) * 32)


class Samples:
    """Paths, queries and bodies of operations, from the document and the values of things, by the names of members."""

    def __init__(self, document: dict[str, Any], values: dict[str, Any]) -> None:
        self.document, self.values = document, values

    def known(self, name: str, schema: dict[str, Any]) -> Any:
        """The value of a member of this name; None if there is none that may be there."""
        found = self.values.get(name)
        return found if found in schema.get("enum", (found,)) else None

    def path(self, template: str) -> str:
        """The path of an operation; a thing that the office lacks has a fresh id."""
        parts = [self._part(part) for part in template.split("/")]
        return "/".join(parts)

    def _part(self, part: str) -> str:
        while "{" in part:
            before, _, rest = part.partition("{")
            name, _, after = rest.partition("}")
            part = f"{before}{self.values.get(name, new_id())}{after}"
        return part

    def query(self, method: str, template: str) -> dict[str, Any]:
        """The parameters of the query that an operation requires."""
        parameters = self.document["paths"][template][method.lower()].get("parameters", [])
        wanted = [each for each in parameters if each["in"] == "query" and each.get("required")]
        return {each["name"]: self._sample(each["name"], each["schema"]) for each in wanted}

    def body(self, method: str, template: str) -> dict[str, Any] | None:
        """A body with the required members of an operation; None for an operation without a body."""
        described = self.document["paths"][template][method.lower()].get("requestBody")
        if described is None or "application/json" not in described["content"]:
            return None
        made = self._sample("", described["content"]["application/json"]["schema"])
        assert made is None or isinstance(made, dict)
        return made

    def _sample(self, name: str, schema: dict[str, Any]) -> Any:
        if "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        if name == "id":
            return new_id()
        if "const" in schema:
            return schema["const"]
        if (found := self.known(name, schema)) is not None:
            return found
        if "enum" in schema:
            return schema["enum"][0]
        if schema.get("type") == "object":
            known = schema.get("properties", {})
            return {each: self._sample(each, known.get(each, {})) for each in schema.get("required", [])}
        if schema.get("type") == "array":
            return [self._sample("", schema["items"])] * schema.get("minItems", 0)
        if schema.get("type") in ("integer", "number"):
            return max(1, schema.get("minimum", 1))
        if "anyOf" in schema:
            return self._sample(name, schema["anyOf"][0])
        if schema.get("examples"):
            return schema["examples"][0]
        return "100" if "minor" in name else "x"


def samples_of(office: Office) -> Samples:
    """Samples about things of operator 2: Leo's wallet, the tea house, a case, a proposal."""
    town, bank = office.town, office.bank
    leo = ids.format(office.person("citizen"))
    case = office.done("caseworker", "cases", kind="complaint", person=leo, text="slow")["case"]
    proposal = office.done("operator", "operators/2/mints", minor="1")["proposal"]
    tea = bank.institutions.find("merchant", "Tea house")
    outlet = next(iter(bank.institutions.outlets_of(tea.id).values()))
    day = bank.day.next_day().isoformat()
    values: dict[str, Any] = {
        "wallet": ids.format(town.leo),
        "person": leo,
        "case": case,
        "proposal": proposal,
        "operator": 2,
        "merchant": ids.format(tea.id),
        "institution": ids.format(tea.id),
        "outlet": ids.format(outlet),
        "till": ids.format(town.till_1),
        "day": day,
        "number": 1,
        "occurrence": 0,
        "entry": 1,
        "name": "refused",
        "provider": "none",
        "order": "A-1",
        "form": "png",
        # of bodies
        "payee": ids.format(town.shop),
        "account": ids.format(town.leo),
        "holder": leo,
        "guardian": ids.format(town.holder(town.mia)),
        "owner": leo,
        "signer": ids.format(office.person("operator")),
        "key": str(KEY.public),
        "public_key": str(KEY.public),
        "proof": "0" * 128,
        "approval": "0" * 128,
        "digest": "0" * 64,
        "until_ns": str(office.bank.stores.clock.now_ns() + 3_600 * 10**9),
        "effective_ns": str(office.bank.stores.clock.now_ns() + 3_600 * 10**9),
        "kind": "complaint",
        "tier": "class-4",
        "wallet_class": "class-4",
        "step": "answer",
        "hours": 1,
        "phone": "+8613800000009",
        "fields": "name",
        "reason": "complaint",
        "serial": 1,
        "voucher": "0",
    }
    return Samples(office.nobody.get("/openapi.json", timeout=60).json(), values)
