"""Tokenizers of the first Llamas, out of the file of SentencePiece that they were published in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, processors
from transformers import PreTrainedTokenizerFast
from transformers.tokenization_utils_base import generate_merges

SPACE = "\u2581"
UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"
PIECES, TEXT = 1, 1
"""Numbers of fields: of the pieces in the file, and of the letters in a piece."""
_VARINT, _BYTES = 0, 2
_FIXED = {1: 8, 5: 4}
"""Lengths of fields that are written in another way than these two."""


def read_tokenizer(path: Path, *, chat_template: str | None = None) -> Any:
    """The tokenizer in a file such as Llama's tokenizer.model, for which no other library is needed."""
    pieces = [
        bytes(text).decode()
        for number, piece in fields(memoryview(path.read_bytes()))
        if number == PIECES
        for inner, text in fields(piece)
        if inner == TEXT
    ]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    if missing := {UNKNOWN, BEGIN, END} - vocabulary.keys():
        raise ValueError(f"its {path.name} has no {min(missing)}")
    # Pieces stand in the order in which they are joined.
    merges = generate_merges(vocabulary)
    tokenizer = Tokenizer(
        models.BPE(vocabulary, merges, unk_token=UNKNOWN, fuse_unk=True, byte_fallback=True)
    )
    # Every text begins with a space of its own, also one behind a special token.
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", special_tokens=[(BEGIN, vocabulary[BEGIN])]
    )
    names = {"unk_token": UNKNOWN, "bos_token": BEGIN, "eos_token": END}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, chat_template=chat_template, **names)


def fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Numbers and contents of the fields of a message as protobuf writes it; those of numbers are empty."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, kind = key >> 3, key & 7
        size = 0
        if kind == _VARINT:
            _, place = _varint(message, place)
        elif kind == _BYTES:
            size, place = _varint(message, place)
        else:
            place += _FIXED.get(kind, len(message))
        if place + size > len(message):
            raise ValueError("its file of words is broken")
        yield number, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and the place behind it."""
    number = shift = 0
    while True:
        byte = message[place]
        number, shift, place = number | (byte & 127) << shift, shift + 7, place + 1
        if byte < 128:
            return number, place
