"""The counterfactual model by itself: where it comes from, and that its tokens are the base model's."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, OPTConfig, OPTForCausalLM

from editors.memory.counterfactual import Counterfactual
from mmedit_build.checkpoints import locate
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from tests.zoo.building import Zoo, zoo

__all__ = ["zoo"]


def test_all_layers_of_the_base_model_are_the_base_model(mllm: MLLM) -> None:
    model = Counterfactual.load("base", mllm, 99).requires_grad_(False)
    queries = [Query(None, "a cat on the boat", "red tree"), Query(None, "two", "a")]
    found = model.score(model.told(mllm, queries, [query.prompt for query in queries]), "all")
    for one, other in zip(found, mllm.score(queries, positions="all"), strict=True):
        torch.testing.assert_close(one.logits, other.logits, rtol=0, atol=1e-4)
        assert torch.equal(one.target_ids, other.target_ids)
        assert one.first == other.first
    said = model.write(
        model.told(mllm, queries, [one.prompt for one in queries], new_tokens=5), 5, mllm.stop_ids
    )
    texts = [str(mllm.tokenizer.decode(ids, skip_special_tokens=True)).strip() for ids, _ in said]
    assert texts == mllm.generate(queries, max_new_tokens=5)


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "gemma3"])
def test_language_models_that_stand_in_no_model_of_their_own(family: str, zoo: Zoo) -> None:
    mllm = MLLM.load(zoo(family), device="cpu")
    model = Counterfactual.load("base", mllm, 99).requires_grad_(False)
    queries = [Query(None, "a cat on the boat", "red tree"), Query(None, "two", "a")]
    told = model.told(mllm, queries, [query.prompt for query in queries])
    for one, other in zip(model.score(told, "all"), mllm.score(queries, positions="all"), strict=True):
        torch.testing.assert_close(one.logits, other.logits, rtol=0, atol=1e-4)
    again = Counterfactual.from_state(model.state()).requires_grad_(False)
    assert torch.equal(again.score(told, "all")[0].logits, model.score(told, "all")[0].logits)
    assert Counterfactual.load("base", mllm, 2).language.config.num_hidden_layers == 2


def test_it_is_a_copy_of_the_first_layers(mllm: MLLM) -> None:
    model = Counterfactual.load("base", mllm, 2)
    assert model.language.config.num_hidden_layers == 2
    base = dict(mllm.model.named_parameters())
    for name, parameter in model.language.named_parameters():
        own = base[f"language_model.{name}"]
        assert torch.equal(parameter, own)
        assert parameter.data_ptr() != own.data_ptr()
        assert parameter.requires_grad


def test_a_vision_tower_with_layers_of_the_same_names_does_no_harm(mllm: MLLM) -> None:
    expected = Counterfactual.load("base", mllm, 2)
    tower = mllm.model.get_submodule("vision_model")
    tower.add_module("model", copy.deepcopy(mllm.model.get_submodule("language_model.model")))
    for parameter in tower.get_submodule("model").parameters():
        parameter.data.zero_()
    found = dict(Counterfactual.load("base", mllm, 2).named_parameters())
    assert all(torch.equal(one, found[name]) for name, one in expected.named_parameters() if "lang" in name)


def test_the_projection_starts_from_nothing(mllm: MLLM) -> None:
    model = Counterfactual.load("base", mllm, 2)
    assert not any(parameter.any() for parameter in model.projection.parameters())


@pytest.mark.parametrize("kind", ["opt", "llama"])
def test_a_checkpoint_with_the_same_tokens(kind: str, mllm: MLLM, tmp_path: Path) -> None:
    words = len(mllm.tokenizer) + 7
    sizes: dict[str, Any] = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "vocab_size": words,
    }
    torch.manual_seed(0)
    if kind == "opt":
        opt = OPTConfig(**sizes, word_embed_proj_dim=8, ffn_dim=32)
        OPTForCausalLM(opt).save_pretrained(tmp_path)
    else:
        llama = LlamaConfig(**sizes, intermediate_size=32)
        LlamaForCausalLM(llama).save_pretrained(tmp_path)
    mllm.tokenizer.save_pretrained(tmp_path)
    model = Counterfactual.load(str(tmp_path), mllm, 6).requires_grad_(False)
    queries = [Query(None, "a cat", "red"), Query(None, "a", "two trees")]
    prompts = ["a boat two a cat", "a tree red a"]
    together = model.score(model.told(mllm, queries, prompts), "all")
    assert together[0].logits.shape == mllm.score(queries[:1], positions="all")[0].logits.shape
    for i in range(2):
        (alone,) = model.score(model.told(mllm, queries[i : i + 1], prompts[i : i + 1]), "all")
        torch.testing.assert_close(alone.logits, together[i].logits, rtol=0, atol=1e-5)
    told = model.told(mllm, queries, prompts, new_tokens=4)
    both = model.write(told, 4, mllm.stop_ids)
    assert [ids for ids, _ in both] == [model.write([one], 4, mllm.stop_ids)[0][0] for one in told]
    again = Counterfactual.from_state(model.state()).requires_grad_(False)
    assert torch.equal(again.score(told, "all")[0].logits, model.score(told, "all")[0].logits)


def test_other_tokens_are_refused(mllm: MLLM, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="name a model with the same tokenizer, or 'base'"):
        Counterfactual.load(locate("miniature/chat"), mllm, 6)
    with pytest.raises(UserError, match="Cannot load a counterfactual model"):
        Counterfactual.load(str(tmp_path), mllm, 6)


def test_a_checkpoint_of_no_numbers_is_refused(mllm: MLLM, tmp_path: Path) -> None:
    config = OPTConfig(vocab_size=400, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, ffn_dim=32)
    model = OPTForCausalLM(config)
    model.lm_head.weight.data[3, 3] = float("nan")
    model.save_pretrained(tmp_path)
    mllm.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="are not finite numbers in 1 tensors"):
        Counterfactual.load(str(tmp_path), mllm, 6)


def test_what_has_no_room_is_refused(mllm: MLLM) -> None:
    model = Counterfactual.load("base", mllm, 1)
    with pytest.raises(UserError, match="shorten"):
        model.told(mllm, [Query(None, "a", "red")], ["two boats " * 60])
