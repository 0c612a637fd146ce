"""Client of a Sycee server, for programs: sync and async, typed, with the extra `client`.

A call is a value; a client carries it out::

    from sycee.client import Client, Credentials, Signer, api
    from sycee.core.keys import SigningKey

    credentials = Credentials(client_id, SigningKey.load("program.pem"))
    with Client("https://bank.example", credentials) as bank:
        payment = api.pay(Signer.of(wallet, SigningKey.load("wallet.pem")), shop, 1_250, order="A-17")
        bank.do(payment)

Doing the same call again is safe: its id is the same, and the server acts once. docs/reference/client.md explains
repetitions, signatures and errors.
"""

from sycee.client import api, packs, values, webhooks
from sycee.client.calls import Call, Page
from sycee.client.clients import AsyncClient, Client
from sycee.client.errors import (
    ClientError,
    ContradictsRequest,
    IdConflict,
    InvalidRequest,
    LostConnection,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    NotTaken,
    Problem,
    Refused,
    ServerFailed,
    TooManyRequests,
    WebhookRefused,
)
from sycee.client.events import Event
from sycee.client.signing import Signer, Wanted
from sycee.client.tokens import Credentials

__all__ = [
    "AsyncClient",
    "Call",
    "Client",
    "ClientError",
    "ContradictsRequest",
    "Credentials",
    "Event",
    "IdConflict",
    "InvalidRequest",
    "LostConnection",
    "NotAuthenticated",
    "NotFound",
    "NotPermitted",
    "NotTaken",
    "Page",
    "Problem",
    "Refused",
    "ServerFailed",
    "Signer",
    "TooManyRequests",
    "Wanted",
    "WebhookRefused",
    "api",
    "packs",
    "values",
    "webhooks",
]
