"""VLKEB end to end: files in its exact schema with drawings for its pictures, judged and computed by hand."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from editors.base import Edit, Editor, Model
from evaluation.report.runs import find_runs
from evaluation.report.tables import write_tables
from evaluation.results.records import CaseResult, ProbeResult, read_results
from evaluation.results.summary import Measure, estimated
from evaluation.run.bench import Bench
from evaluation.run.experiment import Experiment, Method
from evaluation.run.loading import load_editors
from mmedit_build.audit.report import audit
from mmedit_build.build import finish
from mmedit_build.console import Advance
from mmedit_build.engine.shards import Tally
from mmedit_build.errors import UserError
from mmedit_build.formats.exchange import import_rows
from mmedit_build.miniature.drawing import draw
from mmedit_build.miniature.facts import facts
from mmedit_build.miniature.grammar import say
from mmedit_build.miniature.questions import answer, ask
from mmedit_build.miniature.train.texts import wrong_answer
from mmedit_build.miniature.world import sample_scene
from mmedit_build.mllm import MLLM, Query
from mmedit_build.work import Work
from tests.evaluation.whole import evaluate

Row = dict[str, Any]
METHODS = {
    "ft": Method(options={"steps": 3}),
    "ike": Method(options={"encoder": "base", "copies": 2, "updates": 1, "retains": 1}),
    "oracle": Method(),
}
HOPS = ("1-hop", "2-hop", "3-hop", "4-hop")


@contextmanager
def progress(label: str, total: int | None) -> Iterator[Advance]:  # noqa: ARG001
    yield lambda number, note="": None  # noqa: ARG005


def drawn_row(images: Path, number: int, hops: int) -> Row:
    """A row of VLKEB about a scene of the miniature, with so many hops."""
    rng = random.Random(f"vlkeb {number}")
    scene, other = sample_scene(rng), sample_scene(rng)
    names = [f"m.0{number:02}a/google_{seed}.jpg" for seed in (1, 2)] + [f"m.0{number:02}b/bing_1.jpg"]
    for name, shown in zip(names, (scene, scene, other), strict=True):
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        draw(shown, name).save(images / name)
    asked, *followed = ask(scene, rng, 1 + hops)
    (far,) = ask(other, rng, 1)
    told, in_other_words = rng.sample(list(say(asked)), 2)
    fact, right = facts()[number], answer(asked, scene)
    row = {
        "src": told,
        "rephrase": in_other_words,
        "pred": right,
        "alt": wrong_answer(right, rng),
        "image": names[0],
        "image_rephrase": names[1],
        "loc": fact.questions[0],
        "loc_ans": fact.answer,
        "m_loc": names[2],
        "m_loc_q": say(far)[0],
        "m_loc_a": answer(far, other),
    }
    ports = [
        {"port_type": steps, "Q&A": {"Question": say(one)[0], "Answer": answer(one, scene)}}
        for steps, one in zip(HOPS, followed, strict=False)
    ]
    return row | ({"port_new": ports} if hops else {})


def edited_hop(number: int, row: Row) -> Row:
    """A fact with the answer of another one, and a question about the image."""
    fact, other = facts()[20 + number], facts()[40 + number]
    asked = row["port_new"][0]["Q&A"]
    return {
        "port_edit_q": fact.questions[0],
        "port_edit_a": other.answer,
        "port_q": asked["Question"],
        "port_a": asked["Answer"],
    }


@pytest.fixture(scope="module")
def vlkeb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as VLKEB is unpacked."""
    folder = tmp_path_factory.mktemp("VLKEB")
    images = folder / "VLKEB_images"
    test = [drawn_row(images, number, hops) for number, hops in enumerate((1, 2, 4, 3, 1))]
    train = [drawn_row(images, 10 + number, 0) for number in range(8)]
    # One edit of a test entity is in train, too, on another image.
    train[0] |= {key: test[0][key] for key in ("src", "alt")} | {"image": test[0]["image_rephrase"]}
    plain = [{key: value for key, value in row.items() if key != "port_new"} for row in test]
    twice = [row | {"port_new": [edited_hop(number, row)]} for number, row in enumerate(test)]
    files = {"train": train, "eval": plain, "eval_multihop": test, "eval_edit_onehop": twice}
    for name, rows in files.items():
        (folder / f"{name}.json").write_text(json.dumps(rows))
    return folder


@pytest.fixture(scope="module")
def experiment(vlkeb: Path, tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    work = tmp_path_factory.mktemp("judged")
    return Experiment(
        methods=METHODS,
        dataset=str(vlkeb / "eval_multihop.json"),
        images=vlkeb / "VLKEB_images",
        protocols=("legacy",),
        device="cpu",
        out=work / "out",
        cache=work / "cache",
        holdout=0.4,
    )


@pytest.fixture(scope="module")
def judged(experiment: Experiment) -> dict[str, list[CaseResult]]:
    """The results of all methods, the unedited model's first."""
    return {folder.name: read_results(folder)[1] for folder in evaluate(experiment, progress)}


@pytest.fixture(scope="module")
def rows(vlkeb: Path) -> list[Row]:
    found: list[Row] = json.loads((vlkeb / "eval_multihop.json").read_text())
    return found


def fitted(name: str, experiment: Experiment, mllm: MLLM) -> Editor:
    editor = load_editors(experiment)[name]
    Bench(experiment, mllm, "vqa", [], progress).fit(name, editor)
    return editor


def by_hand(row: Row, images: Path, mllm: MLLM) -> dict[str, Query]:
    """What of a row shall change, by kind or hop."""
    image, target = images / row["image"], row["alt"]
    ports = {one["port_type"]: one["Q&A"] for one in row["port_new"]}
    return {
        "reliability": Query(image, mllm.question_prompt(row["src"]), target),
        "text_generality": Query(image, mllm.question_prompt(row["rephrase"]), target),
        "image_generality": Query(images / row["image_rephrase"], mllm.question_prompt(row["src"]), target),
        **{
            steps: Query(image, mllm.question_prompt(one["Question"]), one["Answer"])
            for steps, one in ports.items()
        },
    }


def token_accuracy(model: Model, query: Query) -> float:
    (scored,) = model.score([query])
    return float((scored.target_logits.argmax(dim=-1) == scored.target_ids).float().mean())


def told(result: CaseResult) -> dict[str, ProbeResult]:
    assert result.scored, result.skipped
    return {str(one.relation) if one.kind == "portability" else one.kind: one for one in result.probes}


@pytest.mark.parametrize("name", ["unedited", *METHODS])
def test_numbers_are_those_of_a_computation_by_hand(
    name: str,
    judged: dict[str, list[CaseResult]],
    experiment: Experiment,
    rows: list[Row],
    mllm: MLLM,
) -> None:
    assert experiment.images is not None
    editor = None if name == "unedited" else fitted(name, experiment, mllm)
    found: dict[str, list[float]] = {steps: [] for steps in HOPS}
    for number, (row, result) in enumerate(zip(rows, judged[name], strict=True), start=1):
        queries = by_hand(row, experiment.images, mllm)
        own = queries["reliability"]
        edit = Edit(f"eval_multihop/{number}", own.image, own.prompt, row["alt"])
        if editor is None:
            scores = {key: token_accuracy(mllm, query) for key, query in queries.items()}
        elif name == "oracle":
            scores = dict.fromkeys(queries, 1.0)
        else:
            with editor.plan(mllm, [edit]).applied(mllm) as model:
                scores = {key: token_accuracy(model, query) for key, query in queries.items()}
        probes = told(result)
        assert scores == pytest.approx(
            {key: probes[key].scores["legacy"]["token_accuracy"] for key in queries}
        )
        for steps in HOPS:
            found[steps] += [scores[steps]] if steps in scores else []
    for steps, numbers in zip(HOPS, (5, 3, 2, 1), strict=True):
        of = estimated(judged[name], Measure("legacy", "portability", "token_accuracy", steps))  # type: ignore[arg-type]
        assert of is not None
        assert of.edits == numbers
        assert of.mean == pytest.approx(sum(found[steps]) / numbers)


def test_something_was_measured(judged: dict[str, list[CaseResult]]) -> None:
    def mean(name: str, kind: Any) -> float:
        found = estimated(judged[name], Measure("legacy", kind, "token_accuracy"))
        assert found is not None
        return found.mean

    assert mean("unedited", "reliability") < mean("ft", "reliability")
    assert mean("unedited", "reliability") < mean("ike", "reliability")
    assert mean("oracle", "reliability") == 1
    assert mean("unedited", "portability") > 0


def test_tables_have_portability_by_hop(
    judged: dict[str, list[CaseResult]], experiment: Experiment, tmp_path: Path
) -> None:
    write_tables(find_runs([experiment.out]), tmp_path)
    text = (tmp_path / "tables.md").read_text()
    assert "## Visual questions, legacy protocol: portability by hop" in text
    assert "| method | 1 hop | 2 hops | 3 hops | 4 hops |" in text
    assert "1 hop: 5, 2 hops: 3, 3 hops: 2, 4 hops: 1." in text
    assert set(judged) == {"unedited", *METHODS}


def test_the_audit_finds_the_entity_in_both_splits_and_counts_the_hops(vlkeb: Path) -> None:
    group = audit(str(vlkeb)).group("vqa", "test")
    names = ("leaked_entity_edits", "1_hop_rows", "2_hop_rows", "3_hop_rows", "4_hop_rows")
    counted = [group.finding(name) for name in names]
    assert [(one.count, one.of) for one in counted] == [(1, 5), (5, 5), (3, 5), (2, 5), (1, 5)]
    assert group.rows == 5


def test_a_method_that_learns_says_so_where_there_is_nothing_to_learn_from(
    experiment: Experiment, vlkeb: Path, tmp_path: Path
) -> None:
    (tmp_path / "eval_multihop.json").write_bytes((vlkeb / "eval_multihop.json").read_bytes())
    changes = {"dataset": str(tmp_path / "eval_multihop.json"), "out": tmp_path / "out"}
    alone = experiment.model_copy(update=changes | {"methods": {"ike": METHODS["ike"]}, "cache": tmp_path})
    with pytest.raises(UserError, match=r"holds no vqa edits of the split train; it has vqa \(test\)"):
        evaluate(alone, progress)


def test_a_fact_is_edited_along_and_the_first_edit_is_scored_after_it(
    experiment: Experiment, vlkeb: Path, mllm: MLLM, tmp_path: Path
) -> None:
    names = ("ft", "ike", "memit")
    changes = {
        "dataset": str(vlkeb / "eval_edit_onehop.json"),
        "out": tmp_path,
        "limit": 2,
        "methods": {"memit": Method(), **METHODS},
    }
    twice = experiment.model_copy(update=changes)
    with pytest.raises(UserError, match=r"oracle.*edits a fact along with each image"):
        evaluate(twice, progress)
    rows: list[Row] = json.loads((vlkeb / "eval_edit_onehop.json").read_text())[:2]
    assert experiment.images is not None
    changed = set()
    for name in names:
        editor = fitted(name, twice, mllm)
        results = read_results(tmp_path / "vqa" / name)[1]
        for number, (row, result) in enumerate(zip(rows, results, strict=True), start=1):
            [port], image = row["port_new"], experiment.images / row["image"]
            own = Query(image, mllm.question_prompt(row["src"]), row["alt"])
            fact = Query(None, port["port_edit_q"], port["port_edit_a"])
            hop = Query(image, mllm.question_prompt(port["port_q"]), port["port_a"])
            row_id = f"eval_edit_onehop/{number}"
            edits = [
                Edit(row_id, own.image, own.prompt, own.target),
                Edit(f"{row_id}/second", None, fact.prompt, fact.target),
            ]
            with editor.plan(mllm, edits).applied(mllm) as model:
                by_hand = [token_accuracy(model, query) for query in (own, fact, hop)]
            assert result.scored, result.skipped
            found = {
                (one.kind, one.relation): one.scores["legacy"].get("token_accuracy") for one in result.probes
            }
            places = [("reliability", None), ("reliability", "second"), ("portability", "1-hop")]
            assert by_hand == pytest.approx([found[place] for place in places])  # type: ignore[index]
            changed |= {name for before in [token_accuracy(mllm, fact)] if by_hand[1] > before}
    assert changed == set(names)


def test_what_was_imported_is_judged_and_audited_as_what_was_released(
    experiment: Experiment, vlkeb: Path, judged: dict[str, list[CaseResult]], tmp_path: Path
) -> None:
    work = Work(tmp_path / "work")
    edits = list(import_rows(vlkeb, work, vlkeb / "VLKEB_images"))
    finish(work, "attach", Tally().add(edits), edits)
    imported = experiment.model_copy(
        update={"dataset": str(work.folder), "images": None, "out": tmp_path / "out", "cache": tmp_path}
    )
    found = {folder.name: read_results(folder)[1] for folder in evaluate(imported, progress)}
    assert found.keys() == judged.keys()
    for name, results in judged.items():
        for one, released in zip(found[name], results, strict=True):
            assert one.image_id == released.image_id
            pairs = zip(one.probes, released.probes, strict=True)
            assert all(_asked(probe) == _asked(other) for probe, other in pairs)
            # What learns draws by the ids of edits, which are others.
            if name != "ike":
                assert [probe.scores for probe in one.probes] == [probe.scores for probe in released.probes]
    ours, theirs = (audit(str(path)).group("vqa", "test").findings for path in (work.folder, vlkeb))
    counted = {one.name: (one.count, one.of) for one in ours}
    assert counted.items() >= {(one.name, (one.count, one.of)) for one in theirs}


def _asked(probe: ProbeResult) -> tuple[object, ...]:
    return probe.kind, probe.relation, probe.prompt, probe.target, probe.log_prob_before
