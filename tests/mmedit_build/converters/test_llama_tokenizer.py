"""Files of SentencePiece, written here as protobuf writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from mmedit_build.converters.llama_tokenizer import fields, read_tokenizer

SPACE = "\u2581"
BYTES = [f"<0x{number:02X}>" for number in range(256)]
LETTERS = [SPACE, *"abcdefghijklmnopqrstuvwxyzAEINRSTU:?.<>|"]
JOINED = ["th", "the", f"{SPACE}the", f"{SPACE}a", "re", "red", f"{SPACE}red", "ca", "cat", f"{SPACE}cat"]
PIECES = ["<unk>", "<s>", "</s>", *BYTES, *JOINED, *LETTERS]


def varint(number: int) -> bytes:
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def held(number: int, content: bytes) -> bytes:
    """A field of letters or of further fields."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def words_file(pieces: Sequence[str] = PIECES) -> bytes:
    """Pieces with scores and kinds, then settings of what they were learned with."""
    listed = [
        held(1, held(1, piece.encode()) + varint(2 << 3 | 5) + b"\0\0\0\0" + varint(3 << 3) + varint(1))
        for piece in pieces
    ]
    return b"".join(listed) + held(2, varint(9 << 3 | 1) + b"\0" * 8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(words_file())
    return path


def test_texts_begin_with_a_space_and_what_is_unknown_is_bytes(path: Path) -> None:
    words = read_tokenizer(path)
    ids = words("the red cat \u00e4")["input_ids"]
    expected = ["<s>", f"{SPACE}the", f"{SPACE}red", f"{SPACE}cat", SPACE, "<0xC3>", "<0xA4>"]
    assert words.convert_ids_to_tokens(ids) == expected
    assert words.decode(ids, skip_special_tokens=True) == "the red cat \u00e4"
    assert [words.convert_tokens_to_ids(piece) for piece in PIECES] == list(range(len(PIECES)))


def test_so_does_what_stands_behind_a_special_token(path: Path) -> None:
    words = read_tokenizer(path)
    words.add_tokens(["<|image|>"], special_tokens=True)
    tokens = words.convert_ids_to_tokens(words("the <|image|>cat")["input_ids"])
    assert tokens == ["<s>", f"{SPACE}the", SPACE, "<|image|>", f"{SPACE}cat"]
    assert words.convert_tokens_to_ids("<|image|>") == len(PIECES)


def test_kept_and_read_again_it_is_the_same(path: Path) -> None:
    words = read_tokenizer(path, chat_template="{{ 'turn' }}")
    words.save_pretrained(path.parent)
    again = type(words).from_pretrained(path.parent)
    assert again("the cat")["input_ids"] == words("the cat")["input_ids"]
    assert (again.chat_template, again.eos_token) == ("{{ 'turn' }}", "</s>")


def test_long_pieces(path: Path) -> None:
    """Their lengths take two bytes."""
    path.write_bytes(words_file([*PIECES, "a" * 300]))
    assert len(read_tokenizer(path)) == len(PIECES) + 1


def test_files_of_something_else_are_refused(path: Path) -> None:
    path.write_bytes(words_file(PIECES[3:]))
    with pytest.raises(ValueError, match=r"tokenizer.model has no </s>"):
        read_tokenizer(path)
    with pytest.raises(ValueError, match="broken"):
        list(fields(memoryview(b"\x0f")))
    path.write_bytes(words_file()[:-1])
    with pytest.raises(ValueError, match="broken"):
        read_tokenizer(path)
