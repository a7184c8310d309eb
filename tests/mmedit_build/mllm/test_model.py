from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from statistics import fmean

import pytest
import torch
from PIL.Image import Image
from torch import Tensor, nn
from transformers import Blip2ForConditionalGeneration

from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Batch, Query, passes
from mmedit_build.mllm.rendering import RAW
from mmedit_build.mllm.rows import pad_left

PlainLogits = Callable[[Query], Tensor]
PlainText = Callable[[Query, int, list[int]], str]


def test_score_equals_plain_forward(mllm: MLLM, mixture: list[Query], plain_logits: PlainLogits) -> None:
    for query, scored in zip(mixture, mllm.score(mixture, positions="all"), strict=True):
        torch.testing.assert_close(scored.logits, plain_logits(query).detach(), rtol=0, atol=1e-5)


def test_without_bos_the_prompt_itself_stands_after_the_image(
    folder: str, mllm: MLLM, hf: Blip2ForConditionalGeneration, mixture: list[Query]
) -> None:
    bare = MLLM.load(folder, device="cpu", template=RAW)
    queries = mixture[:2]
    for query, scored, plain in zip(
        queries,
        bare.score(queries, positions="all"),
        mllm.score(queries, positions="all"),
        strict=True,
    ):
        ids = mllm.tokenizer(f"{query.prompt} {query.target}", add_special_tokens=False)["input_ids"]
        embedded = hf.get_input_embeddings()(torch.tensor([ids]))
        if query.image is not None:
            embedded = torch.cat([mllm.image_features([query])[0][None], embedded], dim=1)
        expected = hf.language_model(inputs_embeds=embedded).logits[0].detach()
        torch.testing.assert_close(scored.logits, expected, rtol=0, atol=1e-5)
        assert len(scored.logits) == len(plain.logits) - 1
        assert scored.first == plain.first - 1


def test_batched_equals_single(mllm: MLLM, mixture: list[Query]) -> None:
    batched = mllm.score(mixture, positions="all")
    for query, together in zip(mixture, batched, strict=True):
        (alone,) = mllm.score([query], positions="all")
        torch.testing.assert_close(together.logits, alone.logits, rtol=0, atol=1e-4)
        assert torch.equal(together.argmax, alone.argmax)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_order_does_not_depend_on_the_batch_size(mllm: MLLM, mixture: list[Query], batch_size: int) -> None:
    texts = mllm.generate(mixture, max_new_tokens=5)
    assert mllm.generate(mixture, max_new_tokens=5, batch_size=batch_size) == texts
    expected = [scored.log_prob for scored in mllm.score(mixture)]
    found = [scored.log_prob for scored in mllm.score(mixture, batch_size=batch_size)]
    torch.testing.assert_close(torch.stack(found), torch.stack(expected), rtol=0, atol=1e-4)
    assert len({round(float(value), 3) for value in expected}) == len(mixture)


def test_target_positions_are_those_of_the_prefix_run(
    mllm: MLLM, hf: Blip2ForConditionalGeneration, mixture: list[Query]
) -> None:
    """log p(token | prefix) by hand: the text-only model is fed one token at a time."""
    query = mixture[1]
    (scored,) = mllm.score([query])
    prompt = mllm.tokenizer(query.prompt)["input_ids"]
    target = mllm.tokenizer(" " + query.target, add_special_tokens=False)["input_ids"]
    assert scored.target_ids.tolist() == target
    assert len(target) > 1
    by_hand = []
    for i, token in enumerate(target):
        logits = hf.language_model(torch.tensor([prompt + target[:i]])).logits[0, -1]
        by_hand.append(logits.detach().log_softmax(-1)[token])
    torch.testing.assert_close(scored.token_log_probs, torch.stack(by_hand), rtol=0, atol=1e-5)
    torch.testing.assert_close(scored.log_prob, sum(by_hand, torch.tensor(0.0)), rtol=0, atol=1e-4)


def test_target_positions_behind_an_image(
    mllm: MLLM, mixture: list[Query], plain_logits: PlainLogits
) -> None:
    """The same with images: each target token's logits are the last ones of the row cut before it."""
    for query in mixture:
        (scored,) = mllm.score([query])
        tokens = scored.target_ids.tolist()
        spoken = "".join(mllm.tokenizer.convert_ids_to_tokens(tokens[:-1])).replace("Ġ", " ")
        shorter = Query(query.image, query.prompt, spoken.strip())
        torch.testing.assert_close(scored.logits[-1], plain_logits(shorter)[-1].detach(), rtol=0, atol=1e-5)
        assert scored.logits.shape == (len(tokens), len(mllm.tokenizer))


def test_all_positions_hold_the_target_positions(mllm: MLLM, mixture: list[Query]) -> None:
    everywhere = mllm.score(mixture, positions="all")
    for wide, narrow in zip(everywhere, mllm.score(mixture), strict=True):
        torch.testing.assert_close(wide.target_logits, narrow.logits, rtol=0, atol=1e-5)
        assert wide.first > 0
        assert len(wide.logits) == wide.first + 1 + len(wide.target_ids)


def test_a_query_without_target_has_no_target_logits(mllm: MLLM, mixture: list[Query]) -> None:
    bare = Query(None, mixture[1].prompt)
    without, with_target = mllm.score([bare, mixture[1]])
    assert without.logits.shape[0] == 0
    assert float(without.log_prob) == 0.0
    assert len(with_target.target_ids) > 0


def test_images_matter(mllm: MLLM, mixture: list[Query]) -> None:
    first, other = mixture[0], mixture[2]
    swapped = Query(other.image, first.prompt, first.target)
    scores = mllm.score([first, swapped, Query(None, first.prompt, first.target)])
    values = sorted(float(scored.log_prob) for scored in scores)
    assert min(values[1] - values[0], values[2] - values[1]) > 0.05


def test_padding_does_not_leak(mllm: MLLM, mixture: list[Query], monkeypatch: pytest.MonkeyPatch) -> None:
    clean = mllm.score(mixture, positions="all")
    texts = mllm.generate(mixture, max_new_tokens=4)

    def noisy(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        stacked, valid = pad_left(rows)
        assert not valid.all()
        return torch.where(valid[..., None], stacked, 50 * torch.randn_like(stacked)), valid

    monkeypatch.setattr(passes, "pad_left", noisy)
    for before, after in zip(clean, mllm.score(mixture, positions="all"), strict=True):
        torch.testing.assert_close(after.logits, before.logits, rtol=0, atol=1e-5)
    assert mllm.generate(mixture, max_new_tokens=4) == texts


def test_generate_equals_plain_generate(mllm: MLLM, mixture: list[Query], plain_text: PlainText) -> None:
    texts = mllm.generate(mixture, max_new_tokens=8)
    assert texts == [plain_text(query, 8, list(mllm.stop_ids)) for query in mixture]
    assert len(set(texts)) > 1


def test_generation_stops_for_each_row_at_any_stop_token(
    mllm: MLLM, mixture: list[Query], plain_text: PlainText
) -> None:
    config = mllm.model.generation_config
    assert config is not None
    free = [plain_text(query, 8, []) for query in mixture]
    ids = [mllm.tokenizer(text, add_special_tokens=False)["input_ids"] for text in free]
    stops = [ids[0][2], ids[1][1]]
    config.eos_token_id = stops
    expected = [plain_text(query, 8, stops) for query in mixture]
    assert mllm.generate(mixture, max_new_tokens=8) == expected
    assert len({len(mllm.tokenizer(text)["input_ids"]) for text in expected}) > 1


def test_generation_ends_when_every_row_has(mllm: MLLM, mixture: list[Query]) -> None:
    config = mllm.model.generation_config
    assert config is not None
    config.eos_token_id = list(range(len(mllm.tokenizer)))[::-1]
    assert mllm.generate(mixture[:2], max_new_tokens=8) == ["", ""]
    assert mllm.counts.layers == 2 * mllm.n_layers


def test_generation_ignores_targets(mllm: MLLM, mixture: list[Query]) -> None:
    bare = [Query(query.image, query.prompt) for query in mixture]
    assert mllm.generate(bare, max_new_tokens=4) == mllm.generate(mixture, max_new_tokens=4)


def test_hooks_act_in_scoring_and_generation(mllm: MLLM, mixture: list[Query]) -> None:
    before = mllm.score(mixture), mllm.generate(mixture, max_new_tokens=4)
    handle = mllm.mlp(4).down.module.register_forward_hook(lambda _module, _inputs, output: output * -3)
    hooked = mllm.score(mixture), mllm.generate(mixture, max_new_tokens=4)
    handle.remove()
    assert all(float(a.log_prob) != float(b.log_prob) for a, b in zip(before[0], hooked[0], strict=True))
    assert before[1] != hooked[1]
    assert mllm.generate(mixture, max_new_tokens=4) == before[1]


def test_hooks_can_ask_which_rows_are_running(mllm: MLLM, mixture: list[Query]) -> None:
    seen: list[Batch] = []

    def look(_module: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        batch = mllm.running
        assert batch is not None
        # OPT hands (rows * positions, width) to its linear modules.
        assert len(inputs[0]) == batch.valid.numel()
        assert batch.valid.sum(dim=1).tolist() == [row.length for row in batch.rows]
        seen.append(batch)

    below = mllm.below(mixture, 1, for_generation=True)
    handle = mllm.mlp(2).up.module.register_forward_hook(look)
    mllm.score(mixture, batch_size=4)
    assert sorted(index for batch in seen for index in batch.indices) == list(range(len(mixture)))
    assert [mixture[i].prompt for i in seen[-1].indices] == ["", "a"]
    mllm.generate(below, max_new_tokens=1)  # its rows end with the prompt, though targets are known
    handle.remove()
    assert mllm.running is None


def test_layer_passes_are_counted(mllm: MLLM, mixture: list[Query]) -> None:
    mllm.score(mixture)
    assert mllm.counts.layers == len(mixture) * mllm.n_layers


def test_empty_input(mllm: MLLM) -> None:
    assert mllm.score([]) == []
    assert mllm.logits([]) == []
    assert mllm.generate([]) == []


def test_too_long_queries_are_refused(mllm: MLLM) -> None:
    fits = Query(None, "a" * 50)
    assert len(mllm.score([fits])) == 1
    with pytest.raises(UserError, match=r"takes 71 positions but the model has 64"):
        mllm.generate([fits], max_new_tokens=20)
    with pytest.raises(UserError, match="shorten"):
        mllm.score([Query(None, "a" * 80)])


def test_whether_there_is_room_is_known_ahead(mllm: MLLM, pictures: list[Image]) -> None:
    queries = [Query(image, "a" * number, "red") for image in (None, pictures[0]) for number in range(50, 66)]
    for new_tokens in (0, 3):
        room = mllm.have_room(queries, new_tokens)
        assert any(room)
        assert not all(room)
        for query, enough in zip(queries, room, strict=True):
            with nullcontext() if enough else pytest.raises(UserError, match="positions"):
                mllm.generate([query], max_new_tokens=new_tokens) if new_tokens else mllm.score([query])


def test_the_longest_possible_query_generates(mllm: MLLM, plain_text: PlainText) -> None:
    query = Query(None, "a" * 60)
    assert mllm.generate([query], max_new_tokens=3) == [plain_text(query, 3, list(mllm.stop_ids))]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_runs(folder: str, mllm: MLLM, mixture: list[Query], dtype: str) -> None:
    half = MLLM.load(folder, device="cpu", dtype=dtype)
    below = half.below(mixture, 3, for_generation=True)
    for exact, scored, again in zip(mllm.score(mixture), half.score(mixture), half.score(below), strict=True):
        assert scored.logits.dtype == torch.float32
        torch.testing.assert_close(scored.logits, exact.logits, rtol=0.2, atol=0.3)
        torch.testing.assert_close(again.logits, exact.logits, rtol=0.2, atol=0.3)
    assert len(half.generate(below, max_new_tokens=3)) == len(mixture)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cuda_equals_cpu(folder: str, mllm: MLLM, mixture: list[Query]) -> None:
    gpu = MLLM.load(folder, device="cuda")
    for there, here in zip(gpu.score(mixture), mllm.score(mixture), strict=True):
        torch.testing.assert_close(there.logits.cpu(), here.logits, rtol=0, atol=1e-3)
    below = gpu.below(mixture, 3, for_generation=True)
    assert gpu.generate(below, max_new_tokens=4) == mllm.generate(mixture, max_new_tokens=4)


def test_what_was_generated_comes_with_its_probabilities(mllm: MLLM, mixture: list[Query]) -> None:
    for query, written in zip(mixture, mllm.write(mixture, max_new_tokens=3), strict=True):
        (scored,) = mllm.score([replace(query, target=written.text)])
        if len(scored.target_ids) == len(written.token_log_probs):
            expected = scored.token_log_probs.tolist()
            assert written.token_log_probs == pytest.approx(expected, abs=1e-4)
            assert written.confidence == pytest.approx(math.exp(fmean(expected)), abs=1e-4)


def test_confirm_refuses_what_would_not_be_written(
    mllm: MLLM, mixture: list[Query], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mllm.confirm(mixture[0], "something else entirely") is None
    (written,) = mllm.write(mixture[:1], max_new_tokens=1)
    # Without an end, whatever was written would go on.
    monkeypatch.setattr(type(mllm), "stop_ids", ())
    assert mllm.confirm(mixture[0], written.text or "x") is None


def test_a_batch_without_memory_is_run_in_smaller_ones(mllm: MLLM, mixture: list[Query]) -> None:
    expected, sizes = mllm.score(mixture), []

    def no_room(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        sizes.append(len(inputs[0]))
        if sizes[-1] > most:
            raise torch.OutOfMemoryError

    handle = mllm.layer(2).register_forward_pre_hook(no_room)
    most = 2
    for one, other in zip(expected, mllm.score(mixture, batch_size=5), strict=True):
        torch.testing.assert_close(one.logits, other.logits, rtol=0, atol=1e-5)
    assert sizes == [5, 2, 2, 2]
    most = 0
    with pytest.raises(torch.OutOfMemoryError):
        mllm.generate(mixture, max_new_tokens=2)
    handle.remove()
    assert mllm.running is None
