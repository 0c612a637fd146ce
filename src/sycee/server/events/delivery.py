"""Delivery of webhooks: one task for each active webhook sends its events in order, each until it is taken.

A webhook's row has its position, so a stop or a crash repeats events and loses none. While an event fails, later ones
wait; after the last attempt it becomes a dead letter. A separate task for each webhook, rather than a job: a slow
receiver then delays no other one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from sycee.bank.bank import Bank
from sycee.core.arrays import Array
from sycee.core.clock import Clock, read_ns
from sycee.core.errors import SyceeError, UsageError
from sycee.core.keys import ED25519, PublicKey, SigningKey
from sycee.core.retries import RETRY_S, Answer, next_ns
from sycee.server.events.addresses import Network
from sycee.server.events.feed import Page
from sycee.server.events.hub import Hub
from sycee.server.events.scopes import Scope, scope_of
from sycee.server.events.sender import Resolve, Sender, resolve
from sycee.server.events.tables import ACTIVE, DEAD, WAITING
from sycee.server.events.webhooks import (
    BURIED_MAX,
    DeadLetter,
    Webhook,
    Webhooks,
    message_id,
    signed_headers,
)

PER_S_MAX: Final = 200.0  # attempts of one server: each costs the processor about a millisecond, which payments need
POLL_S: Final = 1.0
STORE_S: Final = 1.0  # positions of deliveries are stored at most this often: a crash repeats later events
REFRESH_S: Final = 15.0

Run = Callable[..., Awaitable[Any]]
_S: Final = 10**9


class Delivery:
    """Delivers the webhooks of one server. `run` runs a function on a thread of the services."""

    def __init__(
        self,
        bank: Bank,
        hub: Hub,
        webhooks: Webhooks,
        key: SigningKey,
        run: Run,
        clock: Clock,
        *,
        is_registered: Callable[[int], bool],
        permitted: Sequence[Network] = (),
        resolver: Resolve = resolve,
        retry_s: Sequence[float] | None = None,
    ) -> None:
        """Prepare. `is_registered`: whether a program may still have webhooks."""
        self._bank = bank
        self._hub = hub
        self._webhooks = webhooks
        self._key = key
        self._run = run
        self._clock = clock
        self._is_registered = is_registered
        self._permitted = permitted
        self._resolver = resolver
        self._retry_s = RETRY_S if retry_s is None else retry_s
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._supervisor: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._next_s = 0.0  # when the next attempt may begin

    @property
    def public_key(self) -> PublicKey:
        """Return the key that verifies the webhooks."""
        return self._key.public

    def start(self) -> None:
        """Begin on the running event loop."""
        self._supervisor = asyncio.create_task(self._supervise())

    def restart(self, id: int) -> None:
        """Read a webhook again now: it was registered, enabled or removed, or has dead letters to send again."""
        if (task := self._tasks.get(id)) is not None:
            task.add_done_callback(lambda _: self._woken.set())
            task.cancel()
        self._woken.set()

    async def close(self) -> None:
        """Stop all deliveries; an attempt in progress is repeated by the next start."""
        tasks = [*self._tasks.values(), *([self._supervisor] if self._supervisor else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def wait_for_slot(self) -> None:
        """Wait until another attempt may begin; each webhook has one at a time, so none waits for all of another."""
        now_s = asyncio.get_running_loop().time()
        begins_s = max(now_s, self._next_s)
        self._next_s = begins_s + 1 / PER_S_MAX
        if begins_s > now_s:
            await asyncio.sleep(begins_s - now_s)

    async def _supervise(self) -> None:
        while True:
            self._woken.clear()
            with suppress(SyceeError):
                active = {each.id: each for each in await self._run(self._webhooks.all, state=ACTIVE)}
                for id in [id for id, task in self._tasks.items() if task.done() or id not in active]:
                    self._tasks.pop(id).cancel()
                for id, webhook in active.items():
                    if id not in self._tasks:
                        self._tasks[id] = asyncio.create_task(self._follow(webhook))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), POLL_S)

    async def _follow(self, webhook: Webhook) -> None:
        """Deliver a webhook's events until it is removed or disabled. After an error, the supervisor begins again."""
        sender = Sender(webhook.url, permitted=self._permitted, resolver=self._resolver)
        try:
            await _Deliveries(self, webhook, sender).run()
        except UsageError as error:  # its position is one that the bank has not reached
            await self._disable(webhook, error.message)
        except SyceeError:
            await asyncio.sleep(POLL_S)
        except Exception as error:  # a defect: it is shown, and not repeated endlessly
            await self._disable(webhook, f"the server failed: {type(error).__name__}")
        finally:
            await sender.close()

    async def _disable(self, webhook: Webhook, reason: str) -> None:
        await self._run(self._webhooks.disable, webhook, reason)


class _Deliveries:
    """The deliveries of one webhook."""

    def __init__(self, owner: Delivery, webhook: Webhook, sender: Sender) -> None:
        self._owner = owner
        self._webhooks = owner._webhooks
        self._run = owner._run
        self._webhook = webhook
        self._sender = sender
        self._failures = webhook.failures
        self._retry_ns = webhook.retry_ns
        self._cursor = self._stored = webhook.cursor
        self._stored_s = self._refreshed_s = 0.0
        self._has_buried = webhook.buried > 0
        self._has_taken = False  # since the position was stored
        self._is_over = False

    async def run(self) -> None:
        """Deliver until the webhook is over."""
        hub = self._owner._hub
        self._scope = await self._refreshed()
        self._cursor = await hub.join(self._cursor)
        try:
            await self._resend()
            while not (self._is_over or hub.is_closed):
                changed = hub.changed
                if asyncio.get_running_loop().time() - self._refreshed_s > REFRESH_S:
                    self._scope = await self._refreshed()
                found = await hub.next(self._cursor)
                if isinstance(found, Page):
                    await self._page(found)
                    continue
                await self._store()
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), POLL_S)
        finally:
            hub.leave()
            with suppress(SyceeError):
                await self._store()

    async def _refreshed(self) -> Scope:
        """Return what the program may see now; end the webhook if the program was revoked."""
        self._refreshed_s = asyncio.get_running_loop().time()
        if not self._owner._is_registered(self._webhook.client):
            await self._end("the program was revoked")
        scope: Scope = await self._run(scope_of, self._owner._bank, self._webhook.caller)
        return scope

    async def _page(self, page: Page) -> None:
        seen = self._scope.seen(page)
        wanted = self._webhook.types
        for at in self._scope.visible(page, seen):
            if wanted and page.type_of(at) not in wanted:
                continue
            await self._event(page, at, seen)
            if self._is_over:
                return
        self._cursor = page.end
        await self._store_sometimes()

    async def _event(self, page: Page, at: int, seen: Array | None) -> None:
        """Send one event until it is taken, is a dead letter, or the webhook is over."""
        before, after = self._cursor, page.cursor(at)
        event = page.event(at, seen)
        while not self._is_over:
            now_ns = read_ns(self._owner._clock)
            if self._retry_ns > now_ns:
                await asyncio.sleep((self._retry_ns - now_ns) / _S)
            answer = await self._attempt(event)
            if answer.is_taken:
                self._cursor, self._failures, self._retry_ns, self._has_taken = after, 0, 0, True
                if self._has_buried:
                    self._has_buried = False
                    await self._store()
                await self._store_sometimes()
                return
            self._failures += 1
            retry_ns = next_ns(read_ns(self._owner._clock), self._failures, answer, self._owner._retry_s)
            if answer.is_gone:
                await self._end("the receiver answered 410: it is gone")
            elif retry_ns is None:
                letter = DeadLetter(
                    event["id"], event["type"], answer.reason, DEAD, self._failures, read_ns(self._owner._clock)
                )  # fmt: skip
                buried = await self._run(self._webhooks.bury, self._webhook, letter, after)
                self._cursor = self._stored = after
                self._failures, self._retry_ns, self._has_buried = 0, 0, True
                if buried >= BURIED_MAX:
                    await self._end(f"{buried} events one after the other were not taken: {answer.reason}")
                return
            else:
                self._retry_ns, self._stored = retry_ns, before
                await self._run(
                    self._webhooks.failed, self._webhook.id, before, self._failures, self._retry_ns, answer.reason
                )

    async def _attempt(self, event: dict[str, Any]) -> Answer:
        body = body_of(event["type"], event["at"], event)
        id = message_id(self._webhook.id, event["id"])
        await self._owner.wait_for_slot()
        at_s = read_ns(self._owner._clock) // _S
        return await self._sender.send(body, signed_headers(self._owner._key, id, at_s, body))

    async def _resend(self) -> None:
        """Send the dead letters that were asked for again, once each."""
        for letter in await self._run(self._webhooks.dead_letters, self._webhook.id, state=WAITING):
            hub = self._owner._hub
            page = await hub.run(hub.feed.one, letter.event)
            seen = self._scope.seen(page)
            event = next((page.event(at, seen) for at in self._scope.visible(page, seen)), None)
            reason = "the program may not see the event any more"
            if event is not None:
                answer = await self._attempt(event)
                reason = "" if answer.is_taken else answer.reason
            await self._run(self._webhooks.resent, self._webhook.id, letter, reason)

    async def _end(self, reason: str) -> None:
        await self._store()
        self._is_over = True
        await self._owner._disable(self._webhook, reason)

    async def _store_sometimes(self) -> None:
        if asyncio.get_running_loop().time() - self._stored_s > STORE_S:
            await self._store()

    async def _store(self) -> None:
        if self._cursor != self._stored:
            await self._run(self._webhooks.moved, self._webhook.id, self._cursor, taken=self._has_taken)
            self._stored, self._has_taken = self._cursor, False
        self._stored_s = asyncio.get_running_loop().time()


def server_key(path: Path) -> SigningKey:
    """Return the key that signs webhooks; create its file if there is none. Raises UsageError for a P-256 key."""
    if not path.exists():
        with suppress(UsageError):  # another thread was first
            SigningKey.generate().save(path)
    key = SigningKey.load(path)
    if key.public.flags != ED25519:
        raise UsageError(f"the key {path} is no Ed25519 key", hint="create one with `sycee key new`")
    return key


def body_of(type: str, at: str, data: Mapping[str, Any]) -> bytes:
    """Return the body of a webhook: type, timestamp and data, as Standard Webhooks recommends."""
    return json.dumps({"type": type, "timestamp": at, "data": data}, separators=(",", ":")).encode()
