"""The client of served models against a server that does all that servers do."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import sqlite3
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmedit_build.errors import UserError
from mmedit_build.recipe import Endpoint, Price
from mmedit_build.services.chat import ChatRequest, Message, NoReply, Reply
from mmedit_build.services.endpoint import EndpointChat

KEY = "sk-very-secret-0123456789"
ASK = """
import sys
from pathlib import Path
from mmedit_build.recipe import Endpoint
from mmedit_build.services.chat import ChatRequest, Message, Reply
from mmedit_build.services.endpoint import EndpointChat

url, cache, number, concurrency = sys.argv[1:]
chat = EndpointChat(Endpoint(model="m", base_url=url, concurrency=int(concurrency)), Path(cache))
asked = [ChatRequest((Message("user", f"text {i}"),), 1.0, 64) for i in range(int(number))]
assert all(isinstance(outcome, Reply) for outcome in chat.ask(asked))
"""


def request(text: str, **fields: Any) -> ChatRequest:
    return ChatRequest((Message("user", text),), **({"temperature": 1.0, "max_tokens": 64} | fields))


def texts(outcomes: list[Reply | NoReply]) -> list[str]:
    return [one.text if isinstance(one, Reply) else f"NO: {one.reason}" for one in outcomes]


@pytest.fixture
def open_chat(chat_server: Any, tmp_path: Path) -> Callable[..., EndpointChat]:
    def opened(**fields: Any) -> EndpointChat:
        known = {"model": "m", "base_url": chat_server.url, "timeout": 1.0}
        return EndpointChat(Endpoint(**(known | fields)), tmp_path / "requests.sqlite")

    return opened


@pytest.fixture
def unused_url() -> str:
    """Where no server is."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1"


def change(**fields: Any) -> Callable[[dict[str, Any]], None]:
    """Changes the first choice of a completion."""
    return lambda answer: answer["choices"][0].update(fields)


EMPTY = {"change": change(message={"role": "assistant", "content": ""})}
CUT_OFF = {"change": change(finish_reason="length")}
FAULTS: list[dict[str, Any]] = [
    {"status": 429, "headers": {"Retry-After": "0.2"}, "body": "{}"},
    {"status": 429, "body": '{"error": {"message": "slow down"}}'},
    {"status": 500, "body": "oops"},
    {"status": 503, "headers": {"Retry-After": "0"}, "body": "<html>"},
    {"status": 408, "body": ""},
    {"status": 409, "body": ""},
    {"hang": True},
    {"cut": "before"},
    {"cut": "within"},
    {"body": '{"choices": [{"mess'},
    {"body": "[]"},
    {"body": '{"choices": []}'},
    {"body": "<html>not json</html>", "headers": {"Content-Type": "text/html"}},
    {"change": change(message=None)},
    EMPTY,
    CUT_OFF,
]


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


def test_no_row_is_lost_and_none_paid_twice_on_a_bad_day(chat_server: Any, open_chat: Any) -> None:
    script = [dict(fault) for fault in FAULTS * 2] + [{} for _ in range(30)]
    random.Random(1).shuffle(script)
    chat_server.script.extend(script)
    asked = [request(f"question {number}") for number in range(40)]
    # Enough attempts for the worst that chance can do, since each fault hits any request.
    chat = open_chat(retries=30, concurrency=8)
    outcomes = chat.ask(asked)
    lost = [one.reason for one in outcomes if isinstance(one, NoReply)]
    # Three useless replies in a row can hit one request; it is then not kept, and asked again below.
    again = chat.ask(asked)
    assert texts(again) == [f"reply to question {number}" for number in range(40)], lost
    assert chat_server.billed == {f"question {number}": 1 for number in range(40)}
    assert not chat_server.script
    assert chat_server.most_at_once <= 8 + sum("hang" in fault for fault in script)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_each_fault_alone_is_tried_again(chat_server: Any, open_chat: Any, fault: dict[str, Any]) -> None:
    chat_server.script.append(fault)
    assert texts(open_chat().ask([request("x")])) == ["reply to x"]
    assert len(chat_server.seen) == 2


def test_useless_replies_are_given_up_soon_and_not_kept(chat_server: Any, open_chat: Any) -> None:
    chat_server.script.extend([EMPTY, CUT_OFF, {"body": "{"}])
    chat = open_chat()
    assert chat.ask([request("x")]) == [NoReply("malformed reply")]
    assert len(chat_server.seen) == 3
    assert texts(chat.ask([request("x")])) == ["reply to x"]


def test_retries_end(chat_server: Any, open_chat: Any) -> None:
    chat_server.judge = lambda seen: {"status": 500, "body": ""} if seen.text == "bad" else None
    outcomes = open_chat(retries=2).ask([request("bad"), request("good")])
    assert texts(outcomes) == ["NO: server error (500)", "reply to good"]
    assert sum(seen.text == "bad" for seen in chat_server.seen) == 3


def test_concurrency_is_bounded_and_used(chat_server: Any, open_chat: Any) -> None:
    chat_server.delay = 0.05
    open_chat(concurrency=3).ask([request(f"question {number}") for number in range(15)])
    assert chat_server.most_at_once == 3


def test_all_requests_wait_when_the_server_asks_for_it(chat_server: Any, open_chat: Any) -> None:
    chat_server.script.append({"status": 429, "headers": {"Retry-After": "0.7"}, "body": "{}"})
    outcomes = open_chat(concurrency=1).ask([request(f"question {number}") for number in range(6)])
    assert all(isinstance(one, Reply) for one in outcomes)
    first, second = (seen.at for seen in chat_server.seen[:2])
    assert 0.65 < second - first < 1.5
    assert chat_server.seen[0].text != chat_server.seen[1].text, "the others wait too"


def test_a_rate_limit_that_lets_others_through_costs_no_row(chat_server: Any, open_chat: Any) -> None:
    limited = {"status": 429, "body": "{}"}
    chat_server.judge = lambda _seen: limited if len(chat_server.seen) % 3 else None
    outcomes = open_chat(retries=3, concurrency=6).ask([request(f"{number}") for number in range(30)])
    assert texts(outcomes) == [f"reply to {number}" for number in range(30)]
    tries = [seen.text for seen in chat_server.seen]
    assert max(tries.count(text) for text in tries) > 4, "some request was limited more often than `retries`"


def test_a_server_that_dies_stops_the_run(open_chat: Any, unused_url: str) -> None:
    chat = open_chat(retries=1)
    assert texts(chat.ask([request("a")])) == ["reply to a"]
    chat._model = chat._model.model_copy(update={"base_url": unused_url})
    with pytest.raises(UserError, match="can no longer be reached: start the server and run again"):
        chat.ask([request("b"), request("c")])


@pytest.mark.parametrize(
    "body",
    [
        '{"error": {"message": "overloaded", "code": 502}}',
        '{"choices": [{"message": {"content": ["x"]}}]}',
        '{"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": 1e999}}',
        '{"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": -1}}',
        '{"choices": [{"message": {"content": "x"}, "logprobs": {"content": [{}]}}]}',
    ],
)
def test_strange_replies_are_malformed(chat_server: Any, open_chat: Any, body: str) -> None:
    chat_server.judge = lambda _seen: {"body": body}
    assert open_chat().ask([request("x")]) == [NoReply("malformed reply")]


def test_texts_that_no_file_can_hold_are_mended(chat_server: Any, open_chat: Any) -> None:
    asked = [request("half \ud800 pair")]
    assert texts(open_chat().ask(asked)) == ["reply to half ? pair"]
    chat_server.judge = lambda _seen: {"change": change(message={"content": "\ud800!"})}
    assert texts(open_chat().ask([request("x")])) == ["?!"]
    assert texts(open_chat().ask(asked)) == ["reply to half ? pair"]


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


def test_one_refused_content_costs_only_itself(chat_server: Any, open_chat: Any) -> None:
    filtered = '{"error": {"code": "content_filter", "message": "no"}}'
    verdicts = {
        "filtered": {"status": 400, "body": filtered},
        "withheld": {"change": change(finish_reason="content_filter")},
        "too long": {"status": 400, "body": '{"error": {"message": "context length exceeded"}}'},
    }
    chat_server.judge = lambda seen: verdicts.get(seen.text)
    asked = [request(text) for text in (*verdicts, "fine")]
    assert texts(open_chat().ask(asked)) == [
        "NO: content refused",
        "NO: content refused",
        "NO: refused by the server (400)",
        "reply to fine",
    ]


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (401, "bad key", "refuses the key (401): set the environment variable THE_KEY"),
        (403, "not you", "refuses the key (403)"),
        (404, "no such model", "does not know the model 'm'"),
        (402, "pay", "wants to be paid"),
        (429, "insufficient_quota", "wants to be paid"),
        (400, "temperature is not supported", "refuses all requests to m"),
    ],
)
def test_what_no_request_can_pass_stops_everything(
    status: int, error: str, words: str, chat_server: Any, open_chat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", KEY)
    body = f'{{"error": {{"code": "{error}", "message": "{error}, you sent Bearer {KEY}"}}}}'
    chat_server.judge = lambda _seen: {"status": status, "body": body}
    with pytest.raises(UserError) as raised:
        open_chat(key_variable="THE_KEY", concurrency=2).ask([request(f"{number}") for number in range(50)])
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert KEY not in "".join(traceback.format_exception(raised.value))
    assert len(chat_server.seen) <= 10, "it does not ask on"


def test_replies_that_were_paid_survive_an_error_that_stops_everything(
    chat_server: Any, open_chat: Any
) -> None:
    chat_server.judge = lambda seen: {"status": 401, "body": "{}"} if seen.text == "7" else None
    asked = [request(f"{number}") for number in range(12)]
    with pytest.raises(UserError):
        open_chat(concurrency=4).ask(asked)
    paid = sum(chat_server.billed.values())
    assert paid >= 7
    chat_server.judge = lambda _seen: None
    assert all(isinstance(one, Reply) for one in open_chat().ask(asked))
    assert set(chat_server.billed.values()) == {1}


def test_the_key_is_in_no_log_no_file_and_no_error(
    chat_server: Any,
    open_chat: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_LOG", "debug")
    for name in ("", "openai", "httpx2", "httpcore2", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    file = logging.FileHandler(tmp_path / "log.txt")
    logging.getLogger().addHandler(file)
    echo = {"headers": {"X-Echo": f"Bearer {KEY}"}, "body": f'{{"error": "you sent Bearer {KEY}"}}'}
    padded = {"status": 500, "body": '{"error": "' + "x" * 190 + KEY + '"}'}
    chat_server.script.extend([{"status": status, **echo} for status in (429, 500, 503)])
    chat_server.script.extend([padded, {"headers": echo["headers"], "good": True}, {"status": 400, **echo}])
    try:
        outcomes = open_chat(concurrency=1).ask([request("a"), request("b"), request("c")])
    finally:
        logging.getLogger().removeHandler(file)
        file.close()
    assert "NO: refused by the server (400)" in texts(outcomes)
    assert chat_server.seen[0].authorization == f"Bearer {KEY}"
    assert "server error (500): you sent Bearer [key]" in caplog.text
    for part in (KEY, KEY[:10]):
        assert part not in caplog.text
        for path in tmp_path.iterdir():
            assert part.encode() not in path.read_bytes(), path


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


def test_no_server_at_all_is_told_soon(open_chat: Any, unused_url: str) -> None:
    before = time.monotonic()
    with pytest.raises(UserError, match=r"Cannot connect to http://127\.0\.0\.1"):
        open_chat(base_url=unused_url).ask([request("x")])
    assert time.monotonic() - before < 5


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
    monkeypatch.setattr("mmedit_build.services.cache.LEASE_SECONDS", 0.5)
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
