"""The client of served models against a server that does as it should."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mmedit_build.errors import UserError
from mmedit_build.recipe import Endpoint, Price
from mmedit_build.services.chat import ChatRequest, Message, Reply
from mmedit_build.services.served.endpoint import EndpointChat
from tests.mmedit_build.services.conftest import EMPTY, change, request, texts

ASK = """
import sys
from pathlib import Path
from mmedit_build.recipe import Endpoint
from mmedit_build.services.chat import ChatRequest, Message, Reply
from mmedit_build.services.served.endpoint import EndpointChat

url, cache, number, concurrency = sys.argv[1:]
chat = EndpointChat(Endpoint(model="m", base_url=url, concurrency=int(concurrency)), Path(cache))
asked = [ChatRequest((Message("user", f"text {i}"),), 1.0, 64) for i in range(int(number))]
assert all(isinstance(outcome, Reply) for outcome in chat.ask(asked))
"""


def test_replies_come_in_order_and_are_paid_once(chat_server: Any, open_chat: Any) -> None:
    asked = [request(f"question {number}") for number in range(20)]
    first = open_chat().ask(asked)
    assert texts(first) == [f"reply to question {number}" for number in range(20)]
    assert all(isinstance(one, Reply) and not one.cached for one in first)
    again = open_chat().ask(list(reversed(asked)))
    assert texts(again) == list(reversed(texts(first)))
    assert all(isinstance(one, Reply) and one.cached and one.input_tokens == 10 for one in again)
    assert len(chat_server.seen) == 20


def test_equal_requests_in_one_call_are_sent_once(chat_server: Any, open_chat: Any) -> None:
    outcomes = open_chat().ask([request("same"), request("other"), request("same")])
    assert texts(outcomes) == ["reply to same", "reply to other", "reply to same"]
    assert [one.cached for one in outcomes if isinstance(one, Reply)] == [False, False, True]
    assert chat_server.billed == {"same": 1, "other": 1}


def test_samples_are_different_requests(chat_server: Any, open_chat: Any) -> None:
    open_chat().ask([request("same", sample=number) for number in range(3)])
    assert chat_server.billed == {"same": 3}


def test_concurrency_is_bounded_and_used(chat_server: Any, open_chat: Any) -> None:
    chat_server.delay = 0.05
    open_chat(concurrency=3).ask([request(f"question {number}") for number in range(15)])
    assert chat_server.most_at_once == 3


def test_an_image_comes_before_the_text_as_a_data_url(chat_server: Any, open_chat: Any) -> None:
    message = Message("user", "what?", b"\x89PNG\r\n\x1a\nrest")
    open_chat().ask([ChatRequest((message,), 0.0, 8)])
    image, text = chat_server.seen[0].body["messages"][0]["content"]
    assert text == {"type": "text", "text": "what?"}
    assert image == {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgpyZXN0"}}


def test_confidence_is_the_geometric_mean_and_only_asked_for_if_wanted(
    chat_server: Any, open_chat: Any
) -> None:
    tokens = [{"token": "a", "logprob": -0.2}, {"token": "b", "logprob": -0.6}]
    chat_server.script.extend([{"change": change(logprobs={"content": tokens})}, {}])
    sure, plain = open_chat(concurrency=1).ask([request("a", logprobs=True), request("b")])
    assert isinstance(sure, Reply)
    assert sure.confidence == pytest.approx(2.718281828**-0.4)
    assert isinstance(plain, Reply)
    assert plain.confidence is None
    assert [seen.body.get("logprobs") for seen in chat_server.seen] == [True, None]


def test_a_server_without_logprobs_is_asked_without_them(chat_server: Any, open_chat: Any) -> None:
    refusal = {"status": 422, "body": '{"detail": "unsupported fields: logprobs"}'}
    chat_server.judge = lambda seen: refusal if "logprobs" in seen.body else None
    outcomes = open_chat(concurrency=1).ask([request(str(number), logprobs=True) for number in range(4)])
    assert texts(outcomes) == [f"reply to {number}" for number in range(4)]
    assert len(chat_server.seen) == 5, "the server is believed the first time"


@pytest.mark.parametrize(
    ("fields", "value", "words"),
    [
        ({"base_url": "https://api.openai.com/v1"}, None, "set the environment variable THE_KEY"),
        ({"base_url": "https://api.openai.com/v1"}, "  ", "set the environment variable THE_KEY"),
        ({}, "sk-abc\nX-Header: y", "holds characters no key has"),
        ({}, "schlüssel", "holds characters no key has"),
        ({"base_url": "http://me:sk-abc@127.0.0.1/v1"}, None, "holds a password or a query"),
        ({"base_url": "localhost:8000/v1"}, None, "must look like http://localhost:8000/v1"),
        ({"base_url": "http://localhost:99999/v1"}, None, "must look like"),
        ({"max_cost": 1.0}, None, "states no `price`"),
    ],
)
def test_wrong_recipes_and_keys_are_told_before_anything_is_sent(
    fields: dict[str, Any], value: str | None, words: str, open_chat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is not None:
        monkeypatch.setenv("THE_KEY", value)
    with pytest.raises(UserError, match=words) as raised:
        open_chat(key_variable="THE_KEY", **fields)
    assert "sk-abc" not in str(raised.value)


def test_a_server_that_wants_no_key_needs_none(chat_server: Any, open_chat: Any) -> None:
    assert texts(open_chat().ask([request("x")])) == ["reply to x"]
    assert chat_server.seen[0].authorization == "Bearer none"


def test_nothing_is_sent_beyond_the_ceiling(chat_server: Any, open_chat: Any) -> None:
    # A reply costs 10 x 10 + 5 x 100 = 600; a request at worst (16 + 3) x 10 + 64 x 100 = 6,590 or so.
    price = Price(input=10e6, output=100e6)
    asked = [request(f"{number:03}") for number in range(200)]
    chat_server.delay = 0.02
    with pytest.raises(UserError) as raised:
        open_chat(price=price, max_cost=20_000, concurrency=8).ask(asked)
    assert "`max_cost: 20000` USD for m is reached" in str(raised.value)
    assert "raise it in the recipe and run again" in str(raised.value)
    paid = sum(chat_server.billed.values())
    assert 20_000 - 6_590 - 600 <= paid * 600 <= 20_000
    with pytest.raises(UserError, match="is reached"):
        open_chat(price=price, max_cost=20_000).ask(asked)
    assert sum(chat_server.billed.values()) == paid
    assert len(open_chat(price=price, max_cost=1e6).ask(asked)) == 200
    assert set(chat_server.billed.values()) == {1}


def test_what_is_paid_for_nothing_counts_for_the_ceiling(chat_server: Any, open_chat: Any) -> None:
    chat_server.judge = lambda _seen: EMPTY
    chat = open_chat(price=Price(input=10e6, output=100e6), max_cost=10_000, concurrency=1)
    with pytest.raises(UserError, match="is reached"):
        chat.ask([request(f"{number:03}") for number in range(50)])
    assert len(chat_server.seen) * 600 <= 10_000


def test_it_can_be_called_where_a_loop_runs_already(open_chat: Any) -> None:
    async def notebook() -> list[str]:
        return texts(open_chat().ask([request("x")]))

    assert asyncio.run(notebook()) == ["reply to x"]


def test_processes_that_share_a_cache_pay_each_request_once(chat_server: Any, tmp_path: Path) -> None:
    chat_server.delay = 0.02
    arguments = [chat_server.url, str(tmp_path / "requests.sqlite"), "30", "4"]
    running = [subprocess.Popen([sys.executable, "-c", ASK, *arguments]) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert chat_server.billed == {f"text {number}": 1 for number in range(30)}


def test_a_kill_pays_no_reply_twice_that_had_arrived(
    chat_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmedit_build.services.served.cache.LEASE_SECONDS", 0.5)
    cache = tmp_path / "requests.sqlite"
    chat_server.delay = 0.03
    process = subprocess.Popen([sys.executable, "-c", ASK, chat_server.url, str(cache), "60", "4"])
    while sum(chat_server.billed.values()) < 20:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    time.sleep(0.1)
    sent = len(chat_server.seen)
    with sqlite3.connect(cache) as file:
        kept = file.execute("SELECT COUNT(*) FROM replies").fetchone()[0]
        file.execute("UPDATE claims SET until = 0")
    file.close()
    assert sent - kept <= 4 + 1, "only what was under way is unknown"
    again = EndpointChat(Endpoint(model="m", base_url=chat_server.url), cache)
    outcomes = again.ask([request(f"text {number}") for number in range(60)])
    assert texts(outcomes) == [f"reply to text {number}" for number in range(60)]
    assert len(chat_server.seen) - sent == 60 - kept
