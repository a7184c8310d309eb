"""Estimates, what goes over the wire, and a chat with the server of transformers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from benchmarks.reality.serving import can_serve, serving
from mmedit_build.checkpoints import locate
from mmedit_build.recipe import Endpoint, Local, Price
from mmedit_build.services.chat import ChatRequest, Message, Reply, prompt_messages
from mmedit_build.services.opening import open_chat
from mmedit_build.services.served.cache import Cache, request_key
from mmedit_build.services.served.cost import IMAGE_TOKENS, estimate
from mmedit_build.services.served.replies import retry_after
from mmedit_build.services.served.sending import worst_tokens
from mmedit_build.services.served.wire import media_type, payload

ENDPOINT = Endpoint(model="m", price=Price(input=1.0, output=10.0, currency="EUR"))


def request(text: str, image: bytes | None = None) -> ChatRequest:
    return ChatRequest((Message("user", text, image),), 1.0, 100)


def test_an_estimate_counts_what_the_cache_does_not_hold(tmp_path: Path) -> None:
    known, new, seen = request("a" * 40), request("b" * 400), request("c", b"image")
    cache = Cache(tmp_path / "requests.sqlite")
    cache.put(request_key(ENDPOINT, known), "e", known, Reply("x", None, 1, 1, cached=False))
    told = estimate(ENDPOINT, [known, new, seen, new], cache.path)
    assert (told.requests, told.output_tokens) == (2, 200)
    assert told.input_tokens == 100 + 4 + 1 + 4 + IMAGE_TOKENS
    assert told.cost == pytest.approx((told.input_tokens + 10 * 200) / 1e6)
    assert told.currency == "EUR"
    assert estimate(ENDPOINT, [known, new, seen, new]).requests == 3


def test_without_a_price_there_is_no_cost() -> None:
    told = estimate(Endpoint(model="m"), [request("a")])
    assert (told.cost, told.currency) == (None, None)


def test_the_worst_case_is_not_below_the_estimate() -> None:
    for one in (request("what is this?"), request("日本語" * 50), request("x", b"image")):
        assert worst_tokens(one).input_tokens >= estimate(ENDPOINT, [one]).input_tokens


@pytest.mark.parametrize(("name", "roles"), [("rephrase", ["system", "user"]), ("rephrase-mmedit", ["user"])])
def test_a_prompt_without_a_system_message_is_the_users_alone(name: str, roles: list[str]) -> None:
    messages = prompt_messages(name, question="What is it?")
    assert [one.role for one in messages] == roles
    assert messages[-1].text.rstrip().endswith("What is it?")


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"BM6\x00", "image/bmp"),
        (b"RIFF\x00\x00\x00\x00WAVE", "application/octet-stream"),
    ],
)
def test_media_types(start: bytes, name: str) -> None:
    assert media_type(start + b"rest") == name


def test_the_bound_on_tokens_has_the_name_that_the_server_knows() -> None:
    hosted = payload(ENDPOINT, request("a"), logprobs=False)
    assert (hosted["max_completion_tokens"], "max_tokens" in hosted) == (100, False)
    own = payload(Endpoint(model="m", base_url="http://localhost/v1"), request("a"), logprobs=True)
    assert (own["max_tokens"], own["logprobs"], "max_completion_tokens" in own) == (100, True, False)


def test_retry_after_is_seconds_or_a_date() -> None:
    assert retry_after({}) is None
    assert retry_after({"retry-after": "2.5"}) == 2.5
    assert retry_after({"retry-after": "-3"}) == 0.0
    assert retry_after({"retry-after": "nan"}) is None
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({"retry-after": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}) is None
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 +99999999"}) is None
    later = datetime.now(UTC) + timedelta(seconds=30)
    assert retry_after({"retry-after": format_datetime(later, usegmt=True)}) == pytest.approx(30, abs=2)
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """`transformers serve` with the miniature's chat model."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    with serving(Path(locate("miniature/chat")), tmp_path / "serve.log") as address:
        yield address


@pytest.mark.skipif(not can_serve(), reason="accelerate, fastapi or uvicorn is not installed")
def test_the_server_of_transformers_answers_as_the_model_in_this_process(served: str, tmp_path: Path) -> None:
    questions = ["What color is the cat?", "Is there a red boat in the picture?", "How many stars are there?"]
    asked = [
        ChatRequest(prompt_messages("rephrase", question=one), 0.0, 48, logprobs=True) for one in questions
    ]
    model = Endpoint(model=locate("miniature/chat"), base_url=served, concurrency=2)
    remote = open_chat(model, tmp_path / "requests.sqlite").ask(asked)
    here = open_chat(Local(model="miniature/chat", device="cpu"), tmp_path / "unused").ask(asked)
    said = [one.text if isinstance(one, Reply) else one.reason for one in remote]
    assert said == [one.text if isinstance(one, Reply) else one.reason for one in here]
    assert all(isinstance(one, Reply) and one.input_tokens > 10 for one in remote)
    again = open_chat(model, tmp_path / "requests.sqlite").ask(asked)
    assert all(isinstance(one, Reply) and one.cached for one in again)
