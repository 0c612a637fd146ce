"""An OpenID provider over loopback, which can be told to misbehave."""

from __future__ import annotations

import base64
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from joserfc.util import urlsafe_b64encode
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT, SECRET = "sycee", "not a secret: of a test"


@dataclass
class Provider:
    """A provider with one user. The dictionaries change what it publishes and signs."""

    issuer: str = ""
    subject: str = "user-1"
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", parameters={"kid": "one"}))
    metadata: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    forged: str = ""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    published: list[ECKey] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    async def configuration(self, request: Request) -> Response:
        self.requests.append("configuration")
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
        }
        return JSONResponse(document | self.metadata)

    async def jwks(self, request: Request) -> Response:
        self.requests.append("jwks")
        return JSONResponse(KeySet([self.key, *self.published]).as_dict(private=False))

    async def authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        answer = {"code": code, "state": asked["state"], "iss": self.issuer}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(answer)}", 302)

    async def token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        asked = self.codes.pop(form.get("code", ""), None)
        if request.headers.get("authorization") != f"Basic {basic}" or asked is None:
            return JSONResponse({"error": "invalid_client"}, 401)
        challenge = urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).decode()
        if challenge != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        now_s = int(time.time())
        claims = {
            "iss": self.issuer, "sub": self.subject, "aud": CLIENT, "iat": now_s, "exp": now_s + 60,
            "nonce": asked["nonce"],
        }  # fmt: skip
        claims = {name: value for name, value in (claims | self.claims).items() if value is not None}
        text = self.forged or jwt.encode({"alg": "ES256", "kid": self.key.kid}, claims, self.key)
        return JSONResponse({"access_token": "unused", "token_type": "Bearer", "id_token": text})


@contextmanager
def provider() -> Iterator[Provider]:
    """A provider on a free port of this machine."""
    made = Provider()
    app = Starlette(
        routes=[
            Route("/.well-known/openid-configuration", made.configuration),
            Route("/jwks", made.jwks),
            Route("/authorize", made.authorize),
            Route("/token", made.token, methods=["POST"]),
        ]
    )
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, ws="none", log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    waiting = threading.Event()
    while not server.started:
        assert thread.is_alive()
        waiting.wait(0.01)
    made.issuer = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.should_exit = True
        thread.join(10)


def query_of(location: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
