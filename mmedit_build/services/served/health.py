"""How a server does: what all requests to it wait for, and when it is no use to go on."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from mmedit_build.errors import UserError
from mmedit_build.recipe import Endpoint
from mmedit_build.services.served.keys import NO_KEY, Key, address
from mmedit_build.services.served.replies import REDIRECT, Trouble
from mmedit_build.services.served.sending import CANNOT_CONNECT

FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
"""Bounds of the wait before a request is tried again; it doubles in between."""
LONGEST_DEMAND = 120.0
"""The longest wait that a server may ask for; after it, the server is tried anyway."""
SPREAD = 0.1
"""Seconds over which requests begin again after a wait that a server asked for."""
FIRST_CONNECTIONS = 3
"""How often a connection is tried again to a server that was never reached: the address may be wrong."""
HOPELESS = 8
"""Refusals without a single reply that show that it is the recipe which is wrong, not a request."""
MOST_WORDS = 200
"""Characters of a server's own words that are shown."""


def backoff(failures: int) -> float:
    """Seconds to wait after that many failures, at random so that not all come back at once."""
    return min(FIRST_WAIT * 2.0 ** (failures - 1), LONGEST_WAIT) * random.uniform(0.5, 1.0)


class Health:
    """What is known of a server."""

    def __init__(self, model: Endpoint, key: Key) -> None:
        self._model = model
        self._key = key
        self._address = address(model.base_url)
        self._wait_until = 0.0
        self._reached = False
        self._refusals: list[Trouble] = []
        self.replies = 0
        """How many of use it gave so far."""

    def cool_down(self, seconds: float) -> None:
        """Let all requests wait, as the server asks."""
        self._reached = True
        self._wait_until = max(self._wait_until, time.monotonic() + min(seconds, LONGEST_DEMAND))

    def seconds_to_wait(self) -> float:
        """Until the server may be asked again."""
        left = self._wait_until - time.monotonic()
        return left + random.uniform(0.0, SPREAD) if left > 0 else 0.0

    def retries(self, trouble: Trouble) -> int:
        """How often a request may be tried again after trouble on the way."""
        self._reached = self._reached or trouble.reason != CANNOT_CONNECT
        return self._model.retries if self._lives else min(self._model.retries, FIRST_CONNECTIONS)

    @property
    def _lives(self) -> bool:
        return self._reached or self.replies > 0

    def check(self, trouble: Trouble) -> None:
        """Stop everything if trouble that is not tried again will come back with each request."""
        if trouble.kind == "stop":
            raise self._stop(trouble)
        if trouble.reason == CANNOT_CONNECT and not self._lives:
            raise UserError(
                f"Cannot connect to {self._address}: start the server, or correct the `base_url`."
            )
        if trouble.kind == "refused":
            self._refusals.append(trouble)
            if len(self._refusals) >= HOPELESS:
                self.check_refusals()

    def check_refusals(self) -> None:
        """Stop everything if the server refuses requests and never replied to any."""
        if self._refusals and not self.replies:
            raise UserError(
                f"{self._address} refuses all requests to {self._model.model} "
                f"({self.words(self._refusals[0])}): correct the recipe's `model`."
            )

    def check_alive(self, reasons: Sequence[str]) -> None:
        """Stop everything if a server that was there is gone."""
        if reasons and set(reasons) == {CANNOT_CONNECT}:
            raise UserError(
                f"{self._address} can no longer be reached: start the server and run again, which pays for "
                "no reply twice."
            )

    def too_dear(self, spent: float) -> UserError:
        """What to say when the next request could cost more than is allowed."""
        currency = self._model.price.currency if self._model.price else ""
        return UserError(
            f"The ceiling `max_cost: {self._model.max_cost:g}` {currency} for {self._model.model} is "
            f"reached: {spent:.4g} are spent and the next request could pass it; raise it in the recipe and "
            "run again, which pays for no reply twice."
        )

    def words(self, trouble: Trouble) -> str:
        """What went wrong, with the server's own words but without the key."""
        detail = self._key.redact(trouble.detail)[:MOST_WORDS].strip().rstrip(".")
        return f"{trouble.reason}: {detail}" if detail else trouble.reason

    def _stop(self, trouble: Trouble) -> UserError:
        variable = self._model.key_variable
        if trouble.reason in ("401", "403"):
            fault = "wants a key" if self._key.value == NO_KEY else "refuses the key"
            return UserError(
                f"{self._address} {fault} ({trouble.reason}): set the environment variable {variable} to a "
                f"key that may use {self._model.model}."
            )
        if trouble.reason == "404":
            return UserError(
                f"{self._address} does not know the model {self._model.model!r}, or is not the address of "
                f"such a server ({self.words(trouble)}): correct `model` or `base_url` (which includes /v1)."
            )
        if trouble.reason == REDIRECT:
            return UserError(
                f"{self._address} sends requests on to another address ({self.words(trouble)}), where "
                "questions and pictures are not sent: if it is right, make it the `base_url` (which includes "
                "/v1)."
            )
        return UserError(
            f"{self._address} wants to be paid ({self.words(trouble)}): top up the account and run again, "
            "which pays for no reply twice."
        )
