"""Asking models in this process and served ones: one answer to each question, whatever happens to others."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmedit_build.engine.base import Failed, Rejected
from mmedit_build.mllm import Query
from mmedit_build.recipe import Endpoint, LocalMLLM, MineStage, MineVqa, Sizes
from mmedit_build.rows import EditRow, Example
from mmedit_build.scoring.caption import Consensus
from mmedit_build.services.asking import Answer, LocalAsker, NoAnswer, Question
from mmedit_build.services.opening import load_asker
from mmedit_build.stages.mine import Mining
from mmedit_build.work import Work
from tests.mmedit_build.services.conftest import ChatServer, Seen

LOCAL = LocalMLLM(model="miniature/mllm", revision="main")
ASKING = "{image}Say: {prompt}"


@pytest.fixture(scope="module")
def asker(tmp_path_factory: pytest.TempPathFactory) -> LocalAsker:
    loaded = load_asker(LOCAL, tmp_path_factory.mktemp("work") / "requests.sqlite")
    assert isinstance(loaded, LocalAsker)
    return loaded


def pictures(drawn: Work) -> list[Path]:
    return sorted((drawn.sources / "images" / "val2014").iterdir())


def test_each_kind_is_asked_in_its_own_way(asker: LocalAsker, drawn: Work) -> None:
    image = pictures(drawn)[0]
    questions = [
        Question(image, "How many things are there?"),
        Question(image, "a photo of", "caption"),
        Question(None, "what comes after spring", "fact"),
    ]
    prompts = ["Question: How many things are there? Short answer:", "a photo of", "what comes after spring"]
    queries = [Query(image, prompts[0]), Query(image, prompts[1]), Query(None, prompts[2])]
    answers = asker.ask(questions, max_tokens=30)
    said = [answer.text for answer in answers if isinstance(answer, Answer)]
    assert said == asker.mllm.generate(queries, max_new_tokens=30)
    assert said[2] == "summer"
    assert asker.name == "miniature/mllm@main"


def test_the_confidence_is_that_of_the_words(asker: LocalAsker, drawn: Work) -> None:
    question = Question(pictures(drawn)[0], "How many things are there?")
    (answer,) = asker.ask([question], max_tokens=10)
    assert isinstance(answer, Answer)
    query = Query(question.image, asker.mllm.question_prompt(question.text), answer.text)
    (scored,) = asker.mllm.score([query])
    assert answer.confidence == pytest.approx(math.exp(float(scored.token_log_probs.mean())), abs=1e-4)


def test_what_is_said_by_chance_is_no_answer(drawn: Work, tmp_path: Path) -> None:
    broken = load_asker(LOCAL, tmp_path / "requests.sqlite")
    assert isinstance(broken, LocalAsker)
    broken.mllm.model.get_parameter("language_model.model.decoder.layers.0.fc1.bias").data[0] = math.nan
    question = Question(pictures(drawn)[0], "How many things are there?")
    nothing = [NoAnswer("the model's probabilities are not numbers")]
    assert broken.ask([question], max_tokens=10) == nothing
    assert broken.ask_again([question], [Answer("two")], max_tokens=10) == nothing


def test_asking_again_is_asking_alone_in_one_pass(asker: LocalAsker, drawn: Work) -> None:
    questions = [Question(image, "What is in the picture?") for image in pictures(drawn)[:20]]
    answers = [one for one in asker.ask(questions, max_tokens=10) if isinstance(one, Answer)]
    before = asker.mllm.counts.layers
    again = asker.ask_again(questions, answers, max_tokens=10)
    assert asker.mllm.counts.layers - before == 20 * asker.mllm.n_layers
    alone = [asker.ask([question], max_tokens=10)[0] for question in questions]
    assert [one.text for one in again if isinstance(one, Answer)] == [
        one.text for one in alone if isinstance(one, Answer)
    ]
    # A first answer that the model does not give alone is replaced by the one it gives.
    wrong = [Answer("a mistake", 0.5)] * 20
    corrected = asker.ask_again(questions, wrong, max_tokens=10)
    assert [one.text for one in corrected if isinstance(one, Answer)] == [
        one.text for one in alone if isinstance(one, Answer)
    ]


def test_a_broken_image_and_a_question_too_long_cost_only_their_own_answers(
    asker: LocalAsker, drawn: Work, tmp_path: Path
) -> None:
    good = Question(pictures(drawn)[0], "How many things are there?")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(pictures(drawn)[0].read_bytes()[:200])
    answers = asker.ask(
        [good, Question(broken, "What?"), good, Question(good.image, "long " * 500)], max_tokens=10
    )
    assert answers[0] == answers[2]
    assert isinstance(answers[0], Answer)
    assert isinstance(answers[1], NoAnswer)
    assert "broken.jpg" in answers[1].reason
    assert isinstance(answers[3], NoAnswer)


def endpoint(server: ChatServer) -> Endpoint:
    return Endpoint(model="vision", base_url=server.url, timeout=1.0, retries=2)


def test_a_served_model_gets_the_image_as_it_is_and_before_the_text(
    chat_server: ChatServer, drawn: Work, tmp_path: Path
) -> None:
    image = pictures(drawn)[0]
    asker = load_asker(endpoint(chat_server), tmp_path / "requests.sqlite")
    (answer,) = asker.ask([Question(image, "What is it?")], max_tokens=10)
    assert isinstance(answer, Answer)
    (seen,) = chat_server.seen
    parts = seen.body["messages"][-1]["content"]
    assert [part["type"] for part in parts] == ["image_url", "text"]
    kind, _, data = parts[0]["image_url"]["url"].partition(",")
    assert kind == "data:image/jpeg;base64"
    assert base64.b64decode(data) == image.read_bytes()
    assert parts[1]["text"].startswith("What is it?")
    assert seen.body["temperature"] == 0
    assert asker.name == "vision"


def test_a_broken_image_is_not_sent(chat_server: ChatServer, drawn: Work, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    asker = load_asker(endpoint(chat_server), tmp_path / "requests.sqlite")
    questions = [
        Question(broken, "What?"),
        Question(pictures(drawn)[0], "What?"),
        Question(None, "who?", "fact"),
    ]
    answers = asker.ask(questions, max_tokens=10)
    assert [type(answer) for answer in answers] == [NoAnswer, Answer, Answer]
    assert len(chat_server.seen) == 2


def test_a_served_model_can_be_mined(chat_server: ChatServer, tmp_path: Path) -> None:
    """A server that sees only whether an image is red, and is silent about blue ones."""
    work = Work(tmp_path)
    rows = [example(work, color) for color in ("red", "green", "blue")]

    def judge(seen: Seen) -> dict[str, Any]:
        data = seen.body["messages"][-1]["content"][0]["image_url"]["url"].partition(",")[2]
        *_, blue = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB").getpixel((0, 0))  # type: ignore[misc]
        if blue > 128:
            return {"change": lambda answer: answer["choices"].clear()}
        return {"good": True, "change": lambda answer: answer["choices"][0]["message"].update(content="red")}

    chat_server.judge = judge
    config = MineStage(vqa=MineVqa(sizes=Sizes(train=1, test=1)))
    stage = Mining(config, endpoint(chat_server), work, Consensus.of([("a", "b")]))
    stage.open()
    right, wrong, silent = stage(rows)
    assert isinstance(right, Rejected)
    assert right.reason == "answered right"
    assert isinstance(wrong, EditRow)
    assert (wrong.prediction, wrong.target, wrong.base) == ("red", "green", "vision")
    assert isinstance(silent, Failed)


def example(work: Work, color: str) -> Example:
    path = work.folder / f"{color}.png"
    Image.new("RGB", (8, 8), color).save(path)
    return Example(
        id=f"vqa/val2014/{color}",
        task="vqa",
        image=work.name(path),
        image_id="1",
        question="What color is it?",
        question_type="what color",
        answers=(color,) * 10,
    )


def test_a_model_is_asked_by_the_template_of_the_recipe() -> None:
    asker = LocalAsker.load(LOCAL.model_copy(update={"template": ASKING}))
    (row,) = asker.mllm.rows([Query(None, "a cat")])
    assert "Say: a cat" in str(asker.mllm.tokenizer.decode(list(row.ids)))
