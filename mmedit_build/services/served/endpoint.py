"""Chat models behind OpenAI-compatible HTTP servers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from mmedit_build.errors import UserError
from mmedit_build.recipe import Endpoint
from mmedit_build.services.chat import ChatRequest, NoReply, Reply
from mmedit_build.services.served.cache import LEASE_SECONDS, Cache, Spent, request_key
from mmedit_build.services.served.cost import tokens_cost
from mmedit_build.services.served.health import Health, backoff
from mmedit_build.services.served.keys import address, find_key, quiet_wires
from mmedit_build.services.served.replies import RATE_LIMIT, Trouble, most_bytes
from mmedit_build.services.served.sending import Sender, worst_tokens

logger = logging.getLogger(__name__)

BAD_REPLIES = 3
"""How often in all a request is sent whose replies are of no use, such as empty ones."""
POLL_SECONDS = 0.2
"""Between looks at a request that another process has under way."""
STOPPED = NoReply("stopped")

T = TypeVar("T")


class EndpointChat:
    """A served model; whatever it replies is kept in a cache before it is handed on."""

    def __init__(self, model: Endpoint, cache: Path) -> None:
        self.name = model.model
        self._model = model
        self._key = find_key(model)
        if model.max_cost is not None and model.price is None:
            raise UserError(
                f"The recipe bounds the cost of {model.model} by `max_cost` and states no `price`: state "
                "what a million tokens of input and of output cost."
            )
        self._cache = Cache(cache)
        self._health = Health(model, self._key)
        self._logprobs = True

    def ask(self, requests: Sequence[ChatRequest]) -> list[Reply | NoReply]:
        """One outcome for each request, in order; equal requests are sent once."""
        quiet_wires()
        keys = [request_key(self._model, request) for request in requests]
        outcomes = _run_to_end(self._ask_all(dict(zip(keys, requests, strict=True))))
        given: set[str] = set()
        listed = []
        for key in keys:
            outcome = outcomes[key]
            if isinstance(outcome, Reply) and key in given:
                outcome = replace(outcome, cached=True)
            listed.append(outcome)
            given.add(key)
        return listed

    async def _ask_all(self, wanted: Mapping[str, ChatRequest]) -> dict[str, Reply | NoReply]:
        most = max(map(most_bytes, wanted.values()), default=0)
        async with Sender(self._model, self._key, logprobs=self._logprobs, most_bytes=most) as sender:
            run = _Run(self._model, self._cache, self._health, sender)
            pulse = asyncio.create_task(run.keep_claims())
            try:
                work = (run.answer(_Wanted(key, request)) for key, request in wanted.items())
                outcomes = await asyncio.gather(*work, return_exceptions=True)
            finally:
                pulse.cancel()
                # There are any only if all this is interrupted.
                self._cache.abandon()
                self._logprobs = sender.logprobs
        errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if errors:
            raise errors[0]
        found = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
        self._health.check_refusals()
        self._health.check_alive([one.reason if isinstance(one, NoReply) else "" for one in found])
        return dict(zip(wanted, found, strict=True))


@dataclass(slots=True)
class _Wanted:
    """A request that waits for its reply, and how often it failed so far."""

    key: str
    request: ChatRequest
    cuts: int = 0
    """On the way, all in all."""
    fruitless: int = 0
    """On the way, while no other request got its reply either, or by more than a rate limit."""
    bad_replies: int = 0
    """In the reply."""
    replies_before: int = 0
    """How many replies the server had given when this request last met its rate limit."""


@dataclass(frozen=True, slots=True)
class _Later:
    """Try again after some seconds."""

    seconds: float


class _Run:
    """The requests of one call. After an error that stops all, those under way end, and none is sent."""

    def __init__(self, model: Endpoint, cache: Cache, health: Health, sender: Sender) -> None:
        self._model = model
        self._cache = cache
        self._health = health
        self._sender = sender
        self._account = f"{address(model.base_url)} {model.model}"
        self._slots = asyncio.Semaphore(model.concurrency)
        self._stopped = asyncio.Event()

    async def keep_claims(self) -> None:
        """Renew the claims of requests under way, for ever."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / 5)
            # If this fails, the next reply cannot be kept either, which is then told.
            with suppress(UserError):
                self._cache.renew()

    async def answer(self, wanted: _Wanted) -> Reply | NoReply:
        """Bring the reply to a request, from the cache or by as many attempts as are granted."""
        try:
            while True:
                # A slot is given back while its request waits, so that the others can go on.
                async with self._slots:
                    outcome = await self._turn(wanted)
                if not isinstance(outcome, _Later):
                    return outcome
                await self._sleep(outcome.seconds)
        except BaseException:
            self._stopped.set()
            raise

    async def _turn(self, wanted: _Wanted) -> Reply | NoReply | _Later:
        """Look into the cache, else send the request once if that is allowed now."""
        if self._stopped.is_set():
            return STOPPED
        if reply := self._cache.get(wanted.key):
            return reply
        if not self._claim(wanted):
            return _Later(POLL_SECONDS)
        await self._cool_down()
        if self._stopped.is_set():
            self._cache.release(wanted.key)
            return STOPPED
        outcome = await self._sender.send(wanted.request)
        if isinstance(outcome, Trouble):
            return self._after(wanted, outcome)
        self._cache.put(wanted.key, self._account, wanted.request, outcome)
        self._health.replies += 1
        return outcome

    def _claim(self, wanted: _Wanted) -> bool:
        bound = None if self._model.max_cost is None else partial(_affordable, self._model)
        claimed = self._cache.claim(
            wanted.key, self._account, worst_tokens(wanted.request), bound, self._model.requests_per_minute
        )
        if claimed == "never":
            spent = self._cache.spent(self._account)
            raise self._health.too_dear(tokens_cost(self._model, spent.input_tokens, spent.output_tokens))
        return claimed == "mine"

    def _after(self, wanted: _Wanted, trouble: Trouble) -> NoReply | _Later:
        """What follows from an attempt that brought no reply of use."""
        self._cache.charge(wanted.key, self._account, trouble.reason, trouble.tokens)
        again = self._again(wanted, trouble)
        if again is not None:
            logger.info("%s: %s", self._model.model, self._health.words(trouble))
            return again
        logger.warning("%s: %s; given up", self._model.model, self._health.words(trouble))
        self._cache.release(wanted.key)
        self._health.check(trouble)
        return NoReply(trouble.reason)

    def _again(self, wanted: _Wanted, trouble: Trouble) -> _Later | None:
        if trouble.kind == "reply":
            wanted.bad_replies += 1
            return _Later(0.0) if wanted.bad_replies < BAD_REPLIES else None
        if trouble.kind != "wire" or self._fruitless(wanted, trouble) > self._health.retries(trouble):
            return None
        wanted.cuts += 1
        if trouble.wait is not None:
            self._health.cool_down(trouble.wait)
            return _Later(0.0)
        return _Later(backoff(wanted.cuts))

    def _fruitless(self, wanted: _Wanted, trouble: Trouble) -> int:
        """Failures that count. A rate limit that lets others through will let this request through too."""
        others_pass = trouble.reason == RATE_LIMIT and self._health.replies > wanted.replies_before
        wanted.replies_before = self._health.replies
        wanted.fruitless = 1 if others_pass else wanted.fruitless + 1
        return wanted.fruitless

    async def _cool_down(self) -> None:
        while (seconds := self._health.seconds_to_wait()) > 0 and not self._stopped.is_set():
            await self._sleep(seconds)

    async def _sleep(self, seconds: float) -> None:
        """Sleep, but not beyond an error that stops all."""
        try:
            await asyncio.wait_for(self._stopped.wait(), seconds)
        except TimeoutError:
            return


def _affordable(model: Endpoint, spent: Spent) -> bool:
    return tokens_cost(model, spent.input_tokens, spent.output_tokens) <= (model.max_cost or 0.0)


def _run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine from code that is not asynchronous, even if a loop runs already, as in notebooks."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
