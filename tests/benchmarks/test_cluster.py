"""What the benchmark of a cluster counts: results that differ, are lost or come twice, and requests."""

from __future__ import annotations

import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.cluster.asking import serving
from benchmarks.cluster.judging import difference, judged
from evaluation.run.experiment import Experiment, Method
from mmedit_build.engine.local import HERE


def test_results_are_compared_to_the_last_bit_but_for_clocks(dataset: Path, tmp_path: Path) -> None:
    def found(name: str, lr: float) -> list[str]:
        methods = {"ft": Method(options={"steps": 2, "lr": lr})}
        experiment = Experiment(methods=methods, dataset=str(dataset), task="vqa", device="cpu", limit=2)
        return list(judged(experiment, tmp_path / name, HERE).elements())

    first = found("first", 1e-3)
    again, other = found("again", 1e-3), found("other", 1e-3 * (1 + 1e-6))
    assert len(first) == 4
    assert told(again, first) == (4, 0, 0)
    assert told(first[1:], first) == (3, 1, 0)
    assert told([*first, first[0]], first) == (5, 0, 1)
    assert told(other, first) == (4, 2, 2)


def told(found: list[str], alone: list[str]) -> tuple[int, ...]:
    words = difference(Counter(found), Counter(alone)).split()
    return tuple(int(word) for word in words if word.isdigit())


def test_equal_requests_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(0.0) as server:
        for body in (b"one", b"two", b"one"):
            urllib.request.urlopen(f"{server.url}/chat/completions", body).read()
        assert server.asked == {b"one": 2, b"two": 1}
