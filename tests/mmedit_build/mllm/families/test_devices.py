"""A model over two devices gives what it gives on one, in every family."""

from __future__ import annotations

import pytest
import torch

from mmedit_build.mllm import MLLM, Query
from mmedit_build.mllm.loading import load_family
from mmedit_build.mllm.selfcheck import check
from tests.devices import FIRST, SECOND, Devices, device_of, spread
from tests.mmedit_build.mllm.families.conftest import Specimens
from tests.zoo.members import MEMBERS


def test_tensors_of_several_devices_do_not_meet() -> None:
    with Devices():
        one, other = torch.ones(2, device=FIRST), torch.ones(2).to(SECOND)
        assert (one.device, other.device, (other * 2).device) == (FIRST, SECOND, SECOND)
        with pytest.raises(RuntimeError, match=r"fpga:0.*fpga:1"):
            one + other
        with pytest.raises(RuntimeError, match=r"cpu.*fpga:0"):
            one + torch.ones(2)
        assert (one + other.to(one)).tolist() == [2.0, 2.0]
        assert device_of(one[torch.tensor([0])] + torch.tensor(1.0)) == FIRST
        weight = torch.nn.Parameter(other)
        weight.to(FIRST).sum().backward()
        assert weight.device == SECOND
        assert weight.grad is not None


@pytest.mark.parametrize("name", [*MEMBERS, "aya_vision"])
def test_answers_are_those_of_one_device(specimens: Specimens, queries: list[Query], name: str) -> None:
    one = specimens(name)
    family = load_family(one.folder, revision=None, device="cpu", dtype="float32", template="checkpoint")
    split = one.mllm.n_layers - 1
    expected = one.mllm.score(queries, positions="all")
    said = one.mllm.generate(queries, max_new_tokens=3)
    with Devices():
        mllm = spread(MLLM(family, name), split)
        assert mllm.devices in ([FIRST, SECOND], [SECOND, FIRST])
        assert check(mllm, family) < 1e-4
        for layer in range(mllm.n_layers + 1):
            below = mllm.below(queries, layer, for_generation=True)
            for found, wanted in zip(mllm.score(below, positions="all"), expected, strict=True):
                torch.testing.assert_close(found.logits.cpu(), wanted.logits, rtol=0, atol=2e-5)
                assert float(found.log_prob) == pytest.approx(float(wanted.log_prob), abs=1e-4)
            assert mllm.generate(below, max_new_tokens=3) == said
