"""LiveEdit's modules and routing against numbers that the authors' public code gave.

`parity/liveedit.json` says how they were obtained: weights and states are drawn by number in float64.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from editors.experts.modules import Experts, Generator, Reader, Seen, alike, shares_of
from editors.experts.patch import route
from editors.experts.practice import Features, soft_routing
from tests.editors.test_parity_of_adaptors import close, drawn, redrawn

NUMBERS: dict[str, Any] = json.loads((Path(__file__).parent / "parity" / "liveedit.json").read_text("utf-8"))
WIDTH, MIDDLE, HEADS, SLOTS, RANK, PROTOTYPE = 16, 24, 4, 3, 2, 6
EXTRACTOR = {
    "eqe1": "extract.image_slots",
    "eqe2": "extract.text_slots",
    "vis_rep_prot": "prototype",
    "layer_norm1": "extract.norm_image",
    "layer_norm2": "extract.norm_text",
}
for theirs, ours in {
    "ca_query_info_ext1": "ask",
    "ca_vision_info_ext": "look",
    "ca_query_info_ext2": "read",
}.items():
    EXTRACTOR |= {
        f"{theirs}.{side}_mlp": f"extract.{ours}.{name}"
        for side, name in {"q": "query", "k": "key", "v": "value"}.items()
    }
GENERATOR = {
    "phi": "slots",
    "layer_norm": "norm",
    "ca_lora.q_mlp": "attend.query",
    "ca_lora.k_mlp": "attend.key",
    "ca_lora.v_mlp": "attend.value",
}


@pytest.fixture
def reader() -> Reader:
    found = Reader(WIDTH, MIDDLE, SLOTS, HEADS, PROTOTYPE)
    redrawn(found, NUMBERS["extractor"], EXTRACTOR)
    found.norm.weight.data = 0.3 * drawn(81, WIDTH) + 1.0
    found.norm.bias.data = 0.3 * drawn(80, WIDTH)
    return found


@pytest.fixture
def seen() -> Seen:
    """Five positions of an image, four of a question, two of an answer."""
    states = torch.cat([drawn(102, 1, 5, WIDTH), drawn(103, 1, 4, WIDTH), drawn(104, 1, 2, WIDTH)], dim=1)
    places = torch.arange(11)[None]
    return Seen(states, places < 5, (places >= 5) & (places < 9), places >= 9)


@pytest.fixture
def experts() -> Experts:
    features = (drawn(seed, 4, SLOTS, MIDDLE) for seed in (106, 105))
    return Experts(*features, *(drawn(seed, 4, RANK, WIDTH) for seed in (107, 108)))


def test_features_are_the_authors(reader: Reader, seen: Seen) -> None:
    close(reader.extract.image(seen), NUMBERS["image"])
    close(reader.extract.image(seen, reader.prototype), NUMBERS["prototype"])
    close(reader.extract.text(seen), NUMBERS["text"])


def test_sides_of_experts_are_the_authors(seen: Seen) -> None:
    generator = Generator(WIDTH, MIDDLE, RANK, HEADS)
    redrawn(generator, NUMBERS["generator"], GENERATOR, start=50)
    close(generator(seen), NUMBERS["generated"])


def test_experts_are_chosen_and_mixed_as_by_the_authors(reader: Reader, seen: Seen, experts: Experts) -> None:
    image = reader.extract.image(seen)
    close(alike(image, experts.image), NUMBERS["similarities"])
    close(reader.to_prototype(seen, image), NUMBERS["to_prototype"])
    shares = route(reader, experts, seen)
    assert shares[0].nonzero()[:, 0].tolist() == NUMBERS["kept"]
    close(shares[:, NUMBERS["kept"]], NUMBERS["coefficients"])
    close(reader(drawn(109, 1, 6, WIDTH), experts, shares), NUMBERS["residual"])


def test_words_route_at_the_authors_loss() -> None:
    some, others = drawn(110, 3, SLOTS, MIDDLE), drawn(111, 3, SLOTS, MIDDLE)
    nothing = torch.zeros(3, 1)
    features = Features(nothing, some, nothing, others, nothing)
    found = soft_routing(features, [(number, number) for number in range(3)])
    # Theirs adds 1e-8 within the logarithms.
    assert float(found) == pytest.approx(NUMBERS["soft"] + NUMBERS["sigmoid"], abs=1e-6)
    shares = shares_of(alike(some, others), torch.ones(3, 3, dtype=torch.bool))
    assert float(shares.sum()) < 3
