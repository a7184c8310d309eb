"""The bundled checkpoints are ordinary: plain transformers and diffusers load and run them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
from numpy.typing import NDArray
from PIL import Image
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    CLIPModel,
    CLIPProcessor,
    Qwen3VLForConditionalGeneration,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from mmedit_build.checkpoints import BUNDLED, WEIGHTS
from mmedit_build.miniature.drawing import draw
from mmedit_build.miniature.grammar import parse
from mmedit_build.miniature.world import Scene, Thing

SCENE = Scene((Thing(0, "apple", "red", True), Thing(3, "car", "blue", True)), "grass")
STEPS = 12


def test_only_safetensors() -> None:
    suffixes = {path.suffix for path in WEIGHTS.rglob("*") if path.is_file()}
    assert suffixes <= {".safetensors", ".json", ".jinja", ".txt"}


def test_blip2_answers_through_plain_transformers() -> None:
    folder = BUNDLED["miniature/mllm"]
    model = Blip2ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    processor = Blip2Processor.from_pretrained(folder)
    prompt = "Question: What color is the apple? Short answer:"
    apple = Scene(SCENE.things[:1], SCENE.background)
    inputs = processor(images=draw(apple, "weights"), text=prompt, return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=10)
    new = ids[:, inputs["input_ids"].shape[1] :]
    assert processor.batch_decode(new, skip_special_tokens=True)[0].strip() == "red"


def test_qwen3_vl_answers_through_plain_transformers() -> None:
    folder = BUNDLED["miniature/qwen"]
    model: Any = Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    apple = Scene(SCENE.things[:1], SCENE.background)
    seen = Qwen2VLImageProcessorPil.from_pretrained(folder)(
        images=[draw(apple, "weights")], return_tensors="pt"
    )
    content = [{"type": "image"}, {"type": "text", "text": "What color is the apple?"}]
    turn = tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    tokens = int(seen["image_grid_thw"].prod()) // model.config.vision_config.spatial_merge_size**2
    text = turn.replace("<|image_pad|>", "<|image_pad|>" * tokens)
    asked = tokenizer(text, return_tensors="pt")
    kinds = (asked["input_ids"] == model.config.image_token_id).int()
    ids = model.generate(**asked, **seen, mm_token_type_ids=kinds, max_new_tokens=10, do_sample=False)
    new = ids[0, asked["input_ids"].shape[1] :]
    assert tokenizer.decode(new, skip_special_tokens=True) == "red"


def test_chat_rephrases_through_plain_transformers() -> None:
    folder = BUNDLED["miniature/chat"]
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    question = "What color is the purple car?"
    inputs = tokenizer.apply_chat_template(
        [{"role": "user", "content": f"Rephrase this question: {question}"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    ids = model.generate(**inputs, do_sample=False)
    reply = tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    assert reply != question
    assert parse(reply) == parse(question)


def test_clip_prefers_the_true_caption() -> None:
    folder = BUNDLED["miniature/clip"]
    model = CLIPModel.from_pretrained(folder, dtype=torch.float32)
    processor = CLIPProcessor.from_pretrained(folder)
    captions = ["a red apple and a blue car on the grass", "a yellow fish at sea", "two green cups"]
    inputs = processor(text=captions, images=draw(SCENE, "weights"), padding=True, return_tensors="pt")
    with torch.no_grad():
        assert int(model(**inputs).logits_per_image.argmax()) == 0


@pytest.fixture(scope="module")
def pipeline() -> StableDiffusionPipeline:
    loaded = StableDiffusionPipeline.from_pretrained(
        BUNDLED["miniature/diffusion"], dtype=torch.float32, low_cpu_mem_usage=False
    )
    loaded.set_progress_bar_config(disable=True)
    return loaded


def _pixels(image: Image.Image) -> NDArray[np.int64]:
    return np.asarray(image).astype(np.int64)


def _seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator("cpu").manual_seed(seed) for seed in seeds]


def test_generators_decide_in_a_batch_as_alone(pipeline: StableDiffusionPipeline) -> None:
    prompts = ["a red apple on the grass", "a blue boat at sea"]
    batch = pipeline(prompts, num_inference_steps=STEPS, generator=_seeded(1, 2)).images
    alone = pipeline(prompts[1], num_inference_steps=STEPS, generator=_seeded(2)).images
    other = pipeline(prompts[1], num_inference_steps=STEPS, generator=_seeded(3)).images
    assert np.abs(_pixels(batch[1]) - _pixels(alone[0])).max() <= 2
    assert np.abs(_pixels(batch[1]) - _pixels(other[0])).max() > 20


def test_a_negative_prompt_acts(pipeline: StableDiffusionPipeline) -> None:
    def generated(negative: str) -> NDArray[np.int64]:
        images = pipeline(
            "a red apple", negative_prompt=negative, num_inference_steps=STEPS, generator=_seeded(5)
        ).images
        return _pixels(images[0])

    assert np.abs(generated("") - generated("on the grass")).max() > 20


def test_image_to_image_keeps_more_at_low_strength(pipeline: StableDiffusionPipeline) -> None:
    img2img = StableDiffusionImg2ImgPipeline(**pipeline.components, requires_safety_checker=False)
    img2img.set_progress_bar_config(disable=True)
    drawing = draw(SCENE, "weights")

    def distance(strength: float) -> float:
        image = img2img(
            "a red apple and a blue car on the grass",
            image=drawing,
            strength=strength,
            num_inference_steps=30,
            generator=_seeded(7),
        ).images[0]
        return float(np.abs(_pixels(image) - _pixels(drawing)).mean())

    assert distance(0.2) < distance(0.95)
