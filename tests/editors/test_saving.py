"""Files of patches and of what was learned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from editors.base import State
from editors.patches.overlays import PromptPatch
from editors.saving import load_patch, read_state, save_patch, write_state
from mmedit_build.errors import UserError


def test_tensors_and_fields_come_back(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    tensors = {
        "whole": whole,
        "turned": whole.T,
        "shared": whole,
        "half": whole.half(),
        "none": torch.empty(0, 3),
    }
    state = State(tensors, {"texts": ["déjà vu", "\n"], "number": 0.1, "nothing": None})
    write_state(tmp_path / "deep" / "state", state, "of a test")
    found, kind = read_state(tmp_path / "deep" / "state")
    assert kind == "of a test"
    assert found.fields == state.fields
    assert found.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(found.tensors[name], tensor)
        assert found.tensors[name].dtype == tensor.dtype


def test_tensors_lie_as_fresh_ones_do_however_long_the_header_is(tmp_path: Path) -> None:
    for letters in range(8):
        write_state(tmp_path / "state", State({"a": torch.ones(9)}, {"text": "x" * letters}), "of a test")
        found, _ = read_state(tmp_path / "state")
        assert found.tensors["a"].data_ptr() % 64 == 0


def test_a_patch_without_tensors_is_a_file_too(tmp_path: Path) -> None:
    patch = PromptPatch(("New Fact: é", "\nPrompt: "), (0,), bare=True)
    save_patch(patch, tmp_path / "patch")
    assert load_patch(tmp_path / "patch") == patch


def test_a_file_does_not_decide_what_code_is_run(tmp_path: Path) -> None:
    kinds = ("os:system", "editors:load_editor", "fitted ft")
    for kind in (
        *kinds,
        "editors.none:Patch",
        "editors.ft:None",
        "editors.ft:FT",
        "editors.patches.overlays:PromptPatch",
    ):
        write_state(tmp_path / "patch", State(), kind)
        with pytest.raises(UserError, match="holds no patch"):
            load_patch(tmp_path / "patch")


def test_code_of_others_is_not_even_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "not_ours.py").write_text(f"open({str(tmp_path / 'loaded')!r}, 'w')")
    monkeypatch.syspath_prepend(str(tmp_path))
    write_state(tmp_path / "patch", State(), "not_ours:Patch")
    with pytest.raises(UserError, match="holds no patch"):
        load_patch(tmp_path / "patch")
    assert not (tmp_path / "loaded").exists()


@pytest.mark.parametrize("fault", ["missing", "empty", "cut", "bare", "folder"])
def test_files_that_are_broken_are_told_in_one_sentence(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "state"
    write_state(path, State({"a": torch.ones(9)}), "of a test")
    whole = path.read_bytes()
    if fault == "bare":
        save_file({"a": torch.ones(1)}, path)
    elif fault == "folder":
        path = tmp_path
    else:
        path.unlink()
        if fault != "missing":
            path.write_bytes(b"" if fault == "empty" else whole[:-4])
    with pytest.raises(UserError, match="Cannot read") as raised:
        read_state(path)
    assert "\n" not in str(raised.value)


def test_no_pickle(tmp_path: Path) -> None:
    write_state(tmp_path / "state", State({"a": torch.ones(2)}, {"b": 1}), "of a test")
    data = (tmp_path / "state").read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    assert header["__metadata__"] == {"kind": "of a test", "fields": '{"b": 1}'}
    assert len(data) == 8 + length + 8
