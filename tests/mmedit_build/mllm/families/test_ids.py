"""Rows of ids as the processors of transformers make them, and the letters that stand at each position."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from transformers import (
    AutoTokenizer,
    AyaVisionProcessor,
    Blip2Processor,
    Gemma3Processor,
    Idefics3Processor,
    InstructBlipProcessor,
    LlavaNextProcessor,
    LlavaProcessor,
    PaliGemmaProcessor,
)
from transformers.models.smolvlm.processing_smolvlm import get_image_prompt_string

from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from mmedit_build.mllm.families import FAMILIES
from mmedit_build.mllm.families.blip2 import NO_TOKEN
from tests.mmedit_build.mllm.families.conftest import Specimen, Specimens, shown
from tests.zoo.building import Zoo
from tests.zoo.members import MEMBERS
from tests.zoo.tokenizers import VICUNA_TURN

PROMPT = "how many boats?"
CLIP = {"patch_size": 4, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
Ids = list[int]
IMAGES = [shown(1, 48, 16), shown(2, 20, 44), shown(3, 16, 16)]


def chat(words: Any, prompt: str = PROMPT) -> str:
    content = [{"type": "image"}, {"type": "text", "text": prompt}]
    turn = [{"role": "user", "content": content}]
    return str(words.apply_chat_template(turn, add_generation_prompt=True, tokenize=False))


def by_processor(make: Callable[[Any, Any], Any], text: Callable[[Any], str], **options: Any) -> Any:
    """Ids from the processor of transformers, where it works without torchvision."""

    def ids(specimen: Specimen, image: PIL.Image.Image) -> Ids:
        words = AutoTokenizer.from_pretrained(specimen.folder)
        processor = make(specimen.family.image_processor, words)
        found: Ids = processor(images=image, text=text(words), **options)["input_ids"][0]
        return list(found)

    return ids


def by_hand(expand: Callable[[str, Any, Any], str]) -> Any:
    """Ids of a text in which the image's token was written as often as it stands for features."""

    def ids(specimen: Specimen, image: PIL.Image.Image) -> Ids:
        words, processor = specimen.mllm.tokenizer, specimen.family.image_processor
        (features,) = specimen.mllm.image_features([Query(image, "")])
        text = expand(chat(words), lambda **more: processor(images=[[image]], **more), features)
        found: Ids = words(text, add_special_tokens=False)["input_ids"]
        return found

    return ids


def instructblip(images: Any, words: Any) -> Any:
    return InstructBlipProcessor(images, words, words, num_query_tokens=5)


def qwen(text: str, prepare: Any, _: Any) -> str:
    patches = int(prepare(return_tensors="pt")["image_grid_thw"][0].prod())
    return text.replace("<|image_pad|>", "<|image_pad|>" * (patches // 4))


def qwen_vl_v1(text: str, _: Any, features: Any) -> str:
    return text.replace("<imgpad>", "<imgpad>" * len(features))


def internvl(text: str, prepare: Any, _: Any) -> str:
    tiles = int(prepare(return_tensors="pt")["num_patches"][0])
    return text.replace("<IMG_CONTEXT>", f"<img>{'<IMG_CONTEXT>' * 4 * tiles}</img>")


def smolvlm(text: str, prepare: Any, _: Any) -> str:
    found = prepare(return_tensors="pt", return_row_col_info=True)
    marks = ("<fake_token_around_image>", "<image>", "<global-img>")
    return text.replace(
        "<image>", get_image_prompt_string(found["rows"][0][0], found["cols"][0][0], 4, *marks)
    )


def onevision(text: str, _: Any, features: Any) -> str:
    return text.replace("<image>", "<image>" * len(features))


def owl(specimen: Specimen, _: PIL.Image.Image) -> Ids:
    """As its authors have it: what stands before the image and behind it are tokenized apart."""
    words = AutoTokenizer.from_pretrained(specimen.folder)
    before, after = (words(text)["input_ids"] for text in chat(words).split("<|image|>"))
    found: Ids = [*before, *[specimen.family.image_id] * 6, *after[1:]]
    return found


def bare(_: Any) -> str:
    return PROMPT


EXPECTED: dict[str, Callable[[Specimen, PIL.Image.Image], Ids]] = {
    "blip-2 opt": by_processor(lambda images, words: Blip2Processor(images, words, num_query_tokens=5), bare),
    "blip-2 llama": by_processor(
        lambda images, words: Blip2Processor(images, words, num_query_tokens=5), bare
    ),
    "instructblip": by_processor(instructblip, bare),
    "llava": by_processor(lambda images, words: LlavaProcessor(images, words, **CLIP), chat),
    "llava_next": by_processor(lambda images, words: LlavaNextProcessor(images, words, **CLIP), chat),
    "llava_onevision": by_hand(onevision),
    "mplug_owl2": owl,
    "qwen2_vl": by_hand(qwen),
    "qwen2_5_vl": by_hand(qwen),
    "qwen3_vl": by_hand(qwen),
    "qwen_vl v1": by_hand(qwen_vl_v1),
    "internvl": by_hand(internvl),
    "idefics3": by_processor(
        lambda images, words: Idefics3Processor(images, words, image_seq_len=4),
        chat,
        add_special_tokens=False,
    ),
    "smolvlm": by_hand(smolvlm),
    "gemma3": by_processor(
        lambda images, words: Gemma3Processor(images, words, image_seq_length=4),
        chat,
        add_special_tokens=False,
    ),
    "aya_vision": by_processor(
        lambda images, words: AyaVisionProcessor(images, words, patch_size=8, img_size=16), chat
    ),
    "paligemma": by_processor(PaliGemmaProcessor, lambda _: f"<image>{PROMPT}"),
    "paligemma2": by_processor(PaliGemmaProcessor, lambda _: f"<image>{PROMPT}"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_ids_are_those_of_the_processor(specimens: Specimens, name: str) -> None:
    specimen = specimens(name)
    rows = specimen.mllm.rows([Query(image, PROMPT) for image in IMAGES])
    expected = [EXPECTED[name](specimen, image) for image in IMAGES]
    assert [list(row.ids) for row in rows] == expected
    seen = specimen.mllm.image_features([Query(image, PROMPT) for image in IMAGES])
    assert [len(row.image) for row in rows] == [len(one) for one in seen]
    for row in rows:
        assert {row.ids[place] for place in row.image} == {specimen.family.image_id}


@pytest.mark.parametrize("name", MEMBERS)
def test_letters_spell_the_prompt(specimens: Specimens, name: str) -> None:
    mllm = specimens(name).mllm
    prompt = "what color is\nthe small cat in front of it?"
    for row in mllm.rows([Query(IMAGES[0], prompt, "red"), Query(None, prompt, "red")]):
        spans = [span for span in row.letters if span is not None]
        assert len(row.letters) == row.prompt_length
        assert "".join("".join(prompt[first:end] for first, end in spans).split()) == "".join(prompt.split())
        assert all(row.letters[place] is None for place in row.image)


def test_tiles_lie_apart(specimens: Specimens) -> None:
    """Where the image stands is not one piece in some families."""
    (row,) = specimens("smolvlm").mllm.rows([Query(IMAGES[0], PROMPT)])
    assert row.image[-1] - row.image[0] >= len(row.image)
    counts = [
        len(row.image) for row in specimens("internvl").mllm.rows([Query(one, PROMPT) for one in IMAGES])
    ]
    assert counts[0] > counts[2]


def test_pan_and_scan(zoo: Zoo) -> None:
    mllm = MLLM.load(zoo("gemma3"), device="cpu")
    processor = mllm._family.image_processor
    wishes = {"min_crop_size": 8, "max_num_crops": 4, "min_ratio_to_activate": 1.2}
    options = {"do_pan_and_scan": True} | {f"pan_and_scan_{name}": value for name, value in wishes.items()}
    for name, value in options.items():
        setattr(processor, name, value)
    (row,) = mllm.rows([Query(IMAGES[0], PROMPT)])
    words = AutoTokenizer.from_pretrained(mllm.name)
    made = Gemma3Processor(processor, words, image_seq_length=4)
    expected = made(images=IMAGES[0], text=chat(words), add_special_tokens=False, **options)
    assert list(row.ids) == list(expected["input_ids"][0])
    assert len(row.image) > 4


TEMPLATE = "Look: {image} {prompt} Say:"


SOFT = "<image_soft_token>"
WRITTEN = {
    "llava": "<image>" * 16,
    "qwen2_5_vl": "<|image_pad|>" * 4,
    "internvl": f"<img>{'<IMG_CONTEXT>' * 4}</img>",
    "gemma3": f"\n\n<start_of_image>{SOFT * 4}<end_of_image>\n\n",
    "blip-2 llama": "<image>" * 5,
}
"""What a small square picture is in a text."""


@pytest.mark.parametrize("name", WRITTEN)
def test_templates_of_the_user(zoo: Zoo, name: str) -> None:
    mllm = MLLM.load(zoo(name), device="cpu", template=TEMPLATE)
    (row,) = mllm.rows([Query(IMAGES[2], PROMPT)])
    assert list(row.ids) == mllm.tokenizer(TEMPLATE.format(image=WRITTEN[name], prompt=PROMPT))["input_ids"]


@pytest.mark.parametrize("template", ["plain", "raw"])
@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl", "internvl", "gemma3"])
def test_the_image_and_then_the_words(zoo: Zoo, name: str, template: str) -> None:
    mllm, written = MLLM.load(zoo(name), device="cpu", template=template), WRITTEN[name]
    if name == "qwen2_5_vl":
        written = f"<|vision_start|>{written}<|vision_end|>"
    (row,) = mllm.rows([Query(IMAGES[2], PROMPT, "red")])
    whole = mllm.tokenizer(f"{written}{PROMPT} red")["input_ids"]
    assert list(row.ids) == whole


@pytest.mark.parametrize("file", ["chat_template.json", "processor_config.json"])
def test_the_turn_of_a_processor(zoo: Zoo, tmp_path: Path, file: str) -> None:
    """Older checkpoints keep the chat template where tokenizers do not look for it."""
    shutil.copytree(zoo("llava"), tmp_path, dirs_exist_ok=True)
    (tmp_path / "chat_template.jinja").unlink()
    (tmp_path / file).write_text(json.dumps({"chat_template": VICUNA_TURN.replace("ASSISTANT", "MODEL")}))
    mllm = MLLM.load(str(tmp_path), device="cpu")
    (row,) = mllm.rows([Query(None, PROMPT)])
    assert mllm.tokenizer.decode(list(row.ids)) == f"<s> USER: {PROMPT} MODEL:"


def test_a_prompt_may_not_hold_the_image(specimens: Specimens) -> None:
    with pytest.raises(UserError, match="stands for an image"):
        specimens("llava").mllm.rows([Query(IMAGES[0], "what is <image> this?")])


def test_the_zoo_has_every_family() -> None:
    kinds = {make().config.model_type for make in MEMBERS.values()}
    assert kinds == set(FAMILIES)


def test_a_template_needs_a_placeholder_to_say_where_the_image_stands(zoo: Zoo) -> None:
    """OPT can have one, but older checkpoints of BLIP-2 name none."""
    mllm = MLLM.load(zoo("blip-2 opt"), device="cpu", template=TEMPLATE)
    query = Query(IMAGES[2], PROMPT)
    (row,) = mllm.rows([query])
    assert list(row.ids) == mllm.tokenizer(TEMPLATE.format(image="<image>" * 5, prompt=PROMPT))["input_ids"]
    mllm._family.image_id = NO_TOKEN
    with pytest.raises(UserError, match="<image> is no token of this checkpoint: use a template without"):
        mllm.rows([query])
