"""VisEdit's and DualEdit's modules against numbers that the authors' public code gave.

`parity/adaptors.json` says how they were obtained: weights and states are drawn by number in float64.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from editors.adaptors.modules import Adaptor, Signals

NUMBERS: dict[str, Any] = json.loads((Path(__file__).parent / "parity" / "adaptors.json").read_text("utf-8"))
WIDTH, MIDDLE, GATE, HEADS = 16, 24, 12, 4
THEIRS = {
    "mlp_begin": "enter",
    "mlp_end": "leave",
    "cross_att_q_mlp": "attend.query",
    "cross_att_k_mlp": "attend.key",
    "cross_att_v_mlp": "attend.value",
    "ln_img_reps": "norm_states",
    "ln_text_reps": "norm_states",
    "ln_edit_reps": "norm_edit",
    "influence_mapper.ln_img_reps": "gate.norm_states",
    "influence_mapper.ln_edit_reps": "gate.norm_ends",
    "influence_mapper.img_map.l_in": "gate.map_states.enter",
    "influence_mapper.img_map.l_out": "gate.map_states.leave",
    "influence_mapper.prompt_token_map.l_in": "gate.map_ends.enter",
    "influence_mapper.prompt_token_map.l_out": "gate.map_ends.leave",
}
STATES, EDIT = (100, 2, 11, WIDTH), (101, 2, 7, WIDTH)


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def redrawn(module: nn.Module, theirs: list[str], names: dict[str, str], start: int = 0) -> None:
    """Weights drawn by the place of their name among the sorted names that the authors have for them."""
    module.double()
    for number, name in enumerate(sorted(theirs), start):
        place, _, kind = name.rpartition(".")
        ours = f"{names[place]}.{kind}" if place else names[name]
        parameter = module.get_parameter(ours)
        norm = kind == "weight" and ("ln_" in name or "layer_norm" in name)
        parameter.data = (0.3 * drawn(number, *parameter.shape) + (1.0 if norm else 0.0)).detach()


def close(found: Tensor, expected: Any) -> None:
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-10)


def told() -> Signals:
    edit, ends = drawn(*EDIT), torch.tensor([4, 2])
    real = torch.tensor([[True] * 7, [True] * 5 + [False] * 2])
    return Signals(edit, real, edit[torch.arange(2), ends])


def test_image_positions_move_as_with_the_authors() -> None:
    adaptor, states = Adaptor(WIDTH, MIDDLE, HEADS, GATE), drawn(*STATES)[:, 2:7]
    redrawn(adaptor, NUMBERS["visedit"]["weights"], THEIRS)
    change, logits = adaptor(states, told())
    close(states + change, NUMBERS["visedit"]["output"])
    close(logits, NUMBERS["visedit"]["logits"])


def test_words_move_as_with_the_authors() -> None:
    adaptor, states = Adaptor(WIDTH, MIDDLE, HEADS), drawn(*STATES)
    redrawn(adaptor, NUMBERS["dualedit"]["weights"], THEIRS)
    change, _ = adaptor(states, told())
    # From the image's end up to the ends of the prompts, 9 and 8.
    for row, end in ((0, 9), (1, 8)):
        close((states + change)[row, 7:end], NUMBERS["dualedit"]["text"][row])
