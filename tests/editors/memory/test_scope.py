"""The scope classifier by itself: vectors, distances, and where it comes from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import DistilBertConfig, DistilBertModel

from editors.learning.training import seeded
from editors.memory import scope as module
from editors.memory.scope import Place, Scope, alike, scope_loss
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM

TEXTS = ["a cat", "how many boats are on the water?", ""]


@pytest.fixture
def scope(mllm: MLLM) -> Scope:
    torch.manual_seed(0)
    found = Scope.load("base", mllm, images=False).requires_grad_(False)
    for parameter in found.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return found


def test_equal_texts_lie_at_no_distance_and_padding_does_not_matter(scope: Scope) -> None:
    where = [Place(text) for text in TEXTS]
    found = scope.fixed_distances(where, where)
    assert torch.equal(found.diagonal(), torch.zeros(3))
    assert torch.equal(found, found.T)
    assert (found + torch.eye(3) > 0).all()
    torch.testing.assert_close(scope.distances(where, where), found, rtol=1e-4, atol=1e-4)
    # The same bits whatever else is asked.
    assert torch.equal(scope.fixed_distances(where[:1], where[1:2])[0, 0], found[0, 1])


def test_a_distance_is_that_of_first_token_vectors(scope: Scope, mllm: MLLM) -> None:
    vectors = []
    for text in TEXTS[:2]:
        ids = torch.tensor([mllm.tokenizer(text)["input_ids"]])
        vectors.append(scope.encoder(input_ids=ids).last_hidden_state[0, 0])
    expected = (vectors[0] - vectors[1]).square().sum()
    found = scope.fixed_distances([Place(TEXTS[0])], [Place(TEXTS[1])])
    torch.testing.assert_close(found[0, 0], expected, rtol=1e-4, atol=1e-4)


def test_dropout_stays_off_while_learning(scope: Scope) -> None:
    scope.train()
    assert not any(part.training for part in scope.modules())


def test_the_loss_of_near_and_far_pairs() -> None:
    near, far = torch.tensor([0.2, 0.4]), torch.tensor([1.0, 3.0])
    expected = 0.3 - (1 - torch.exp(-far)).log().mean()
    torch.testing.assert_close(scope_loss(near, far), expected)
    torch.testing.assert_close(scope_loss(near, far[:0]), torch.tensor(0.3))
    assert scope_loss(near, torch.zeros(1)).isfinite()


def test_what_cannot_be_told_apart() -> None:
    image, other = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    assert alike(Place("a", image), Place("a", image.clone()))
    assert not alike(Place("a", image), Place("a", other))
    assert not alike(Place("a", image), Place("a"))
    assert not alike(Place("a"), Place("b"))


def test_images_of_different_lengths_are_compared_by_their_means(mllm: MLLM) -> None:
    scope = Scope.load("base", mllm, images=True).requires_grad_(False)
    one = torch.tensor([[1.0, 0.0], [1.0, 0.0]]) / 2**0.5
    same, turned = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    edits = [Place("a", image) for image in (one, same, turned)]
    found = scope.fixed_distances([Place("a", one)], edits)
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.0, 2.0]]))
    assert not alike(Place("a", one), Place("a", same))


def test_many_memories_are_compared_as_each_pair_is() -> None:
    random = torch.Generator().manual_seed(0)

    def place(number: int) -> Place:
        drawn = torch.randn(2 + number % 2, 8, generator=random)
        image = torch.nn.functional.normalize(drawn.flatten(), dim=0)
        return Place("a", None if number % 5 == 0 else image.view(-1, 8))

    queries, edits = ([place(number) for number in range(size)] for size in (7, 300))
    edits[17] = queries[2]
    found = module.images_apart(queries, edits)
    assert found.shape == (7, 300)
    assert found[2, 17] == 0
    for row, one in zip(found[:, ::13], queries, strict=True):
        for apart, other in zip(row, edits[::13], strict=True):
            if one.image is None or other.image is None:
                assert apart == (0 if one.image is other.image else 1)
                continue
            pair = [one.image, other.image]
            if len(one.image) != len(other.image):
                pair = [torch.nn.functional.normalize(image.mean(dim=0), dim=0) for image in pair]
            torch.testing.assert_close(apart, 1 - (pair[0] * pair[1]).sum())


def test_distances_of_many_are_those_of_few(mllm: MLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    with seeded(0):
        scope = Scope.load("base", mllm, images=False).requires_grad_(False)
    texts = [Place(f"what is {number}") for number in range(9)]
    whole = scope.fixed_distances(texts, texts[:4])
    monkeypatch.setattr(module, "CELLS", 1)
    assert torch.equal(scope.fixed_distances(texts, texts[:4]), whole)


def test_the_own_encoder_starts_from_the_token_embeddings(
    mllm: MLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Scope.load("base", mllm, images=True)
    assert torch.equal(found.encoder.embeddings.word_embeddings.weight, mllm.embed_tokens.weight)
    monkeypatch.setattr(module, "WIDTH", 32)
    as_they_are = Scope.load("base", mllm, images=True).encoder.embeddings.word_embeddings.weight
    assert torch.equal(as_they_are, mllm.embed_tokens.weight)
    monkeypatch.setattr(module, "WIDTH", 8)
    narrow = Scope.load("base", mllm, images=True).encoder.embeddings.word_embeddings.weight
    assert narrow.shape == (mllm.embed_tokens.num_embeddings, 8)
    # Principal components: most of what can be kept in so few.
    centered = mllm.embed_tokens.weight - mllm.embed_tokens.weight.mean(dim=0)
    best = torch.linalg.svdvals(centered)[:8].square().sum()
    assert narrow.square().sum() > 0.9 * best


def test_a_checkpoint_of_an_encoder(mllm: MLLM, tmp_path: Path) -> None:
    config = DistilBertConfig(vocab_size=400, dim=16, n_layers=1, n_heads=2, hidden_dim=32)
    torch.manual_seed(0)
    model = DistilBertModel(config)
    model.save_pretrained(tmp_path)
    mllm.tokenizer.save_pretrained(tmp_path)
    found = Scope.load(str(tmp_path), mllm, images=False)
    ids = torch.tensor([mllm.tokenizer("a cat")["input_ids"]])
    expected = model.eval()(input_ids=ids).last_hidden_state[0, 0]
    torch.testing.assert_close(found._encoded(["a cat"])[0], expected)
    again = Scope.from_state(found.state())
    assert torch.equal(again._encoded(["a cat"]), found._encoded(["a cat"]))


def test_half_a_checkpoint_is_refused(mllm: MLLM, tmp_path: Path) -> None:
    model = DistilBertModel(DistilBertConfig(vocab_size=400, dim=16, n_layers=1, n_heads=2, hidden_dim=32))
    model.save_pretrained(tmp_path)
    mllm.tokenizer.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["transformer.layer.0.ffn.lin1.weight"]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        UserError, match=r"lack 1 tensors .* such as transformer\.layer\.0\.ffn\.lin1\.weight"
    ):
        Scope.load(str(tmp_path), mllm, images=False)


def test_a_missing_checkpoint_is_told(mllm: MLLM, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'base' for one made of the model's own embeddings"):
        Scope.load(str(tmp_path), mllm, images=False)
