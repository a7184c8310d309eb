"""Chat models in this process, on the miniature's."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmedit_build.errors import UserError
from mmedit_build.recipe import Local
from mmedit_build.services.chat import ChatRequest, Message, NoReply, Reply, prompt_messages
from mmedit_build.services.local_chat import LocalChat
from mmedit_build.services.opening import open_chat

QUESTIONS = [
    "What color is the cat?",
    "Is there a red boat in the picture?",
    "How many stars are there?",
    "What is above the house?",
    "Is the ball bigger than the cup?",
]


def chat(**fields: object) -> LocalChat:
    return LocalChat.load(Local.model_validate({"model": "miniature/chat", "device": "cpu"} | fields))


@pytest.fixture(scope="module")
def tiny() -> LocalChat:
    return chat()


def asked(temperature: float, samples: int, **fields: object) -> list[ChatRequest]:
    return [
        ChatRequest(prompt_messages("rephrase", question=question), temperature, 64, sample, **fields)  # type: ignore[arg-type]
        for question in QUESTIONS
        for sample in range(samples)
    ]


def test_greedy_replies_are_rephrasings_and_do_not_depend_on_the_sample(tiny: LocalChat) -> None:
    replies = tiny.ask(asked(0.0, 2))
    texts = [reply.text for reply in replies if isinstance(reply, Reply)]
    assert len(texts) == 10
    assert texts[::2] == texts[1::2]
    assert all(text.endswith("?") for text in texts)
    # A small model says one of them again as it was.
    assert sum(text not in QUESTIONS for text in texts[::2]) >= 4
    assert all(isinstance(reply, Reply) and reply.confidence is None for reply in replies)


def test_samples_differ_and_come_again_whatever_they_are_asked_with(tiny: LocalChat) -> None:
    requests = asked(1.0, 6)
    together = tiny.ask(requests)
    assert len({reply.text for reply in together[:6] if isinstance(reply, Reply)}) > 1
    assert tiny.ask(requests) == together
    assert chat(batch_size=4).ask(list(reversed(requests))) == list(reversed(together))
    assert [tiny.ask([request])[0] for request in requests[:8]] == together[:8]


def test_sampling_follows_the_models_probabilities(tiny: LocalChat) -> None:
    (message,) = {request.messages for request in asked(0.0, 1)[:1]}
    sure = ChatRequest(message, 0.0, 64, logprobs=True)
    (greedy,) = tiny.ask([sure])
    samples = tiny.ask([ChatRequest(message, 1.0, 64, number) for number in range(300)])
    assert isinstance(greedy, Reply)
    assert greedy.confidence is not None
    share = sum(isinstance(one, Reply) and one.text == greedy.text for one in samples) / 300
    # The confidence is the mean over the tokens, the end not counted; its power is the probability.
    likely = greedy.confidence ** (greedy.output_tokens - 1)
    assert share == pytest.approx(likely, abs=0.1)


def test_tokens_are_counted(tiny: LocalChat) -> None:
    long, short = tiny.ask(
        [ChatRequest((Message("user", text),), 0.0, 64) for text in ("a cat " * 9, "a cat")]
    )
    assert isinstance(long, Reply)
    assert isinstance(short, Reply)
    assert long.input_tokens > short.input_tokens
    assert short.output_tokens > 1


def test_a_reply_that_is_cut_off_is_none(tiny: LocalChat) -> None:
    messages = prompt_messages("rephrase", question=QUESTIONS[0])
    short, long = tiny.ask([ChatRequest(messages, 0.0, 3), ChatRequest(messages, 0.0, 64)])
    assert short == NoReply("reply cut off by max_tokens")
    assert isinstance(long, Reply)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_scores_that_are_no_numbers_are_no_reply(temperature: float) -> None:
    own = chat()
    own._model.lm_head.weight.data[5, 5] = float("nan")
    assert own.ask(asked(temperature, 1)) == [NoReply("the model's scores are not numbers")] * len(QUESTIONS)


def test_it_is_what_open_chat_opens(tmp_path: Path) -> None:
    opened = open_chat(Local(model="miniature/chat", revision="v1"), tmp_path / "requests.sqlite")
    assert opened.name == "miniature/chat@v1"
    assert not list(tmp_path.iterdir())


def test_mistakes_are_told(tiny: LocalChat, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="reads text only"):
        tiny.ask([ChatRequest((Message("user", "what?", b"image"),), 0.0, 8)])
    with pytest.raises(UserError, match="Cannot load a chat model"):
        chat(model=str(tmp_path))
    with pytest.raises(UserError, match="has no chat template"):
        chat(model=_without_template(tmp_path / "plain"))


def _without_template(folder: Path) -> str:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from mmedit_build.checkpoints import locate

    source = locate("miniature/chat")
    AutoModelForCausalLM.from_pretrained(source).save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(source)
    tokenizer.chat_template = None
    tokenizer.save_pretrained(folder)
    return str(folder)
