"""Small tokenizers of the kinds that real checkpoints come with, and chat templates in their shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

SPACE = "\u2581"
CORPUS = [
    "Question: what color is the cat? Short answer: red",
    "how many boats are on the water? two\nAnswer the question using a single word or phrase.",
    "a photo of a small house in front of a tree, who wrote the book",
]
LETTERS = [chr(code) for code in range(32, 127)] + ["\n"]


def byte_level(specials: Sequence[str], *, bos: str | None = None, **rest: Any) -> PreTrainedTokenizerFast:
    """As of GPT-2, OPT and Qwen: a space belongs to the word after it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return _trained(tokenizer, pre_tokenizers.ByteLevel.alphabet(), specials, bos, rest)


def legacy_llama(specials: Sequence[str], **rest: Any) -> PreTrainedTokenizerFast:
    """As of Vicuna: what stands between special tokens begins with a space of its own."""
    prepend = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    first = decoders.Strip(" ", 1, 0)
    return _sentencepiece(prepend, [decoders.Fuse(), first], specials, "<s>", rest)


def gemma(specials: Sequence[str], **rest: Any) -> PreTrainedTokenizerFast:
    """As of Gemma: spaces are written out, none is added."""
    return _sentencepiece(normalizers.Replace(" ", SPACE), [decoders.Fuse()], specials, "<bos>", rest)


def _sentencepiece(
    normalizer: normalizers.Normalizer,
    joining: Sequence[decoders.Decoder],
    specials: Sequence[str],
    bos: str,
    rest: dict[str, Any],
) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Split(SPACE, "merged_with_next")
    tokenizer.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), *joining])
    return _trained(tokenizer, [SPACE, *LETTERS], specials, bos, rest)


def _trained(
    tokenizer: Tokenizer,
    alphabet: Sequence[str],
    specials: Sequence[str],
    bos: str | None,
    rest: dict[str, Any],
) -> PreTrainedTokenizerFast:
    named = ["<unk>", "<pad>", "</s>", *([] if bos is None else [bos])]
    trainer = trainers.BpeTrainer(
        vocab_size=360,
        special_tokens=[*named, *specials],
        initial_alphabet=list(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    if bos is not None:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
        )
    names = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "bos_token": bos}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names, **rest)


VICUNA_TURN = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>\n' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ part['text'] + ' ' }}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)


def chatml(image: str, *, system: str = "") -> str:
    """Turns as of Qwen, with what is written where an image stands."""
    return (
        f"{system}{{% for message in messages %}}{{{{ '<|im_start|>' + message['role'] + '\n' }}}}"
        "{% for part in message['content'] %}"
        f"{{% if part['type'] == 'image' %}}{{{{ '{image}' }}}}"
        "{% else %}{{ part['text'] }}{% endif %}"
        "{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )


SMOLVLM_TURN = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}{{ '<image>' }}{% endif %}{% endfor %}"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)

GEMMA_TURN = (
    "{{ bos_token }}{% for message in messages %}{{ '<start_of_turn>' + message['role'] + '\n' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<start_of_image>' }}{% else %}{{ part['text'] | trim }}{% endif %}"
    "{% endfor %}{{ '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
