from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.data.cases import Case
from evaluation.data.probes import Asked, ask_all
from evaluation.protocols.output import Output
from evaluation.run.base_outputs import BaseOutputs, folder_of, key_of
from evaluation.run.judging import Judging
from evaluation.run.outputs import EVENTS
from evaluation.run.packed_outputs import pack, save, unpack
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM


def assert_equal(one: Output, other: Output) -> None:
    assert (one.text, one.written) == (other.text, other.written)
    for name in ("target", "predicted", "log_probs", "top", "events", "spread"):
        left, right = getattr(one, name), getattr(other, name)
        assert (left is None) is (right is None)
        assert left is None or (left.dtype == right.dtype and np.array_equal(left, right))


def complete(
    base: BaseOutputs, mllm: MLLM, probes: list[Asked], *, write: bool = True
) -> tuple[int, list[int]]:
    """Rows that went through layers, and what progress heard."""
    before, told = mllm.counts.layers, list[int]()
    base.complete(mllm, probes, write=write, batch_size=8, advance=told.append)
    return mllm.counts.layers - before, told


def test_the_model_is_asked_once_and_never_again(mllm: MLLM, cases: list[Case], tmp_path: Path) -> None:
    probes = [probe for case in cases for probe in ask_all(case, mllm)]
    base = BaseOutputs.open(tmp_path)
    work, told = complete(base, mllm, probes)
    assert work > 0
    assert sum(told) == len(probes)
    again = BaseOutputs.open(tmp_path)
    assert complete(again, mllm, probes) == (0, [len(probes)])
    for one, other in zip(base.of(probes), again.of(probes), strict=True):
        assert_equal(one, other)


def test_only_what_is_new_is_asked(mllm: MLLM, cases: list[Case], tmp_path: Path) -> None:
    first = ask_all(cases[0], mllm)
    complete(BaseOutputs.open(tmp_path), mllm, first)
    base = BaseOutputs.open(tmp_path)
    changed = replace(first[0], query=replace(first[0].query, prompt="another"))
    work, told = complete(base, mllm, [*first, changed])
    assert 0 < work <= 25 * mllm.n_layers
    assert told == [len(first), 1]
    assert len(list(tmp_path.glob("*.npz"))) == 2


def test_free_answers_are_asked_for_only_where_a_protocol_reads_them(
    mllm: MLLM, cases: list[Case], tmp_path: Path
) -> None:
    probes = [probe for case in cases for probe in ask_all(case, mllm)]
    whole = BaseOutputs.open(tmp_path / "at once")
    all_work, _ = complete(whole, mllm, probes)
    base = BaseOutputs.open(tmp_path / "one by one")
    forced, _ = complete(base, mllm, probes, write=False)
    # One pass for each probe.
    assert forced == len({key_of(probe) for probe in probes}) * mllm.n_layers
    assert {one.text for one in base.of(probes)} == {None}
    # Another protocol adds what it lacks, and asks for nothing else again.
    base = BaseOutputs.open(tmp_path / "one by one")
    written, told = complete(base, mllm, probes)
    assert forced + written == all_work
    assert sum(told) == len(probes)
    for one in (base, BaseOutputs.open(tmp_path / "one by one")):
        assert complete(one, mllm, probes)[0] == 0
        for left, right in zip(one.of(probes), whole.of(probes), strict=True):
            assert_equal(left, right)


def test_a_run_that_wants_less_takes_nothing_away(mllm: MLLM, cases: list[Case], tmp_path: Path) -> None:
    probes = ask_all(cases[0], mllm)
    base = BaseOutputs.open(tmp_path)
    complete(base, mllm, probes)
    # As two commands leave them that began at the same time.
    save(tmp_path, {key: replace(one, text=None, written=0) for key, one in base.known.items()})
    assert len(list(tmp_path.glob("*.npz"))) == 2
    again = BaseOutputs.open(tmp_path)
    assert complete(again, mllm, probes)[0] == 0
    for left, right in zip(again.of(probes), base.of(probes), strict=True):
        assert_equal(left, right)


def test_no_room_for_an_answer_matters_only_where_one_is_wanted(
    mllm: MLLM, cases: list[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = ask_all(cases[0], mllm)[0]
    monkeypatch.setattr("evaluation.data.probes.ANSWER_TOKENS", 10**4)
    long = [probe]
    base = BaseOutputs.open(tmp_path)
    complete(base, mllm, long, write=False)
    assert base.knows(long)
    complete(base, mllm, long)
    assert not base.knows(long)
    with pytest.raises(UserError):
        base.of(long)


def test_outputs_are_those_of_the_model(
    mllm: MLLM, make_judging: Callable[..., Judging], cases: list[Case]
) -> None:
    judging = make_judging()
    for probe, output in zip(
        judging.probes(cases[0]), judging.base.of(judging.probes(cases[0])), strict=True
    ):
        (scored,) = mllm.score([probe.query], positions="all")
        log_probs = scored.target_logits.log_softmax(dim=-1)
        assert output.target.tolist() == scored.target_ids.tolist()
        assert output.predicted.tolist() == log_probs.argmax(dim=-1).tolist()
        assert output.log_probs == pytest.approx(scored.token_log_probs.numpy(), abs=1e-4)
        assert output.text == mllm.generate([probe.query], max_new_tokens=20)[0]
        if not probe.is_locality:
            assert (output.top, output.events, output.spread) == (None, None, None)
            continue
        assert output.top is not None
        assert output.events is not None
        assert output.spread is not None
        assert output.top.shape == (len(scored.logits), 10)
        assert (output.top[:, 0] == scored.argmax.numpy()).mean() == 1.0
        assert output.spread.shape == (len(output.target), EVENTS + 1)
        assert np.exp(output.spread.astype(np.float64)).sum(axis=1) == pytest.approx(1.0, abs=1e-4)
        kept = log_probs.gather(1, torch.from_numpy(output.events).long())
        assert output.spread[:, :-1] == pytest.approx(kept.numpy(), abs=1e-4)


def test_packed_outputs_come_back_as_they_were() -> None:
    numbers = np.arange(6, dtype=np.int32)
    bare = Output(numbers[:2], numbers[2:4], numbers[:2].astype(np.float32), text="a \u2028 b", written=3)
    full = replace(
        bare,
        target=numbers[:3],
        predicted=numbers[:3],
        log_probs=np.zeros(3, np.float32),
        top=numbers.reshape(3, 2),
        events=numbers.reshape(3, 2),
        spread=np.ones((3, 3), np.float32),
    )
    silent = replace(full, text=None, written=0)
    for outputs in ({"a": bare}, {"a": full}, {"a": bare, "b": full, "c": silent}):
        found = unpack(pack(outputs))
        assert list(found) == list(outputs)
        for name, output in outputs.items():
            assert_equal(found[name], output)


def test_a_file_that_is_none_of_ours_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"torn")
    with pytest.raises(UserError, match=r"a\.npz.*delete it"):
        BaseOutputs.open(tmp_path)


def test_a_broken_image_costs_its_own_case_only(mllm: MLLM, cases: list[Case], tmp_path: Path) -> None:
    broken = replace(cases[1], image=b"no image", probes=cases[1].of("text_locality"))
    probes = {case.id: ask_all(case, mllm) for case in (cases[0], broken)}
    base = BaseOutputs.open(tmp_path)
    complete(base, mllm, [probe for of in probes.values() for probe in of])
    assert base.knows(probes["vqa/0"])
    with pytest.raises(UserError, match="as an image"):
        base.of(probes["vqa/1"])


def test_what_is_kept_belongs_to_a_model_and_a_dataset(mllm: MLLM, tmp_path: Path) -> None:
    here = folder_of(tmp_path, mllm, "a" * 32)
    assert here == folder_of(tmp_path, mllm, "a" * 32)
    assert here != folder_of(tmp_path, mllm, "b" * 32)
    weight = mllm.mlp(0).up.module.weight
    before = weight.data.clone()
    try:
        weight.data.mul_(1.01)
        assert here != folder_of(tmp_path, mllm, "a" * 32)
    finally:
        weight.data.copy_(before)


def test_keys_tell_apart_all_that_decides_an_output(mllm: MLLM, cases: list[Case]) -> None:
    probe = ask_all(cases[0], mllm)[0]
    others = [
        replace(probe, query=replace(probe.query, prompt="x")),
        replace(probe, query=replace(probe.query, target="x")),
        replace(probe, query=replace(probe.query, image=None)),
        # Captions may be longer, and of locality more is looked at.
        replace(probe, task="caption"),
        replace(probe, probe=replace(probe.probe, kind="image_locality")),
    ]
    assert len({key_of(one) for one in (probe, *others)}) == 6
    # Under another name it is the same query.
    renamed = replace(probe.probe, kind="text_generality", id="x", relation="far")
    assert key_of(replace(probe, probe=renamed)) == key_of(probe)
