"""Images: files that are broken, hostile, or no files."""

from __future__ import annotations

import io
import random
import struct
import zlib
from pathlib import Path

import PIL.Image
import pytest

from evaluation.data.pictures import key_of_image
from mmedit_build.audit.report import decodes
from mmedit_build.pictures import image_key, open_image
from mmedit_build.services.asking import Question, ServedAsker
from mmedit_build.services.chat import ChatRequest, NoReply
from mmedit_build.sheet import Entry, Line, contact_sheet
from mmedit_build.thumbnails import data_url
from tests.fuzz.conftest import Fuzz
from tests.fuzz.damage import content, damage_one, on_file
from tests.fuzz.engine import Case, Reader

FORMATS = {"PNG": "png", "JPEG": "jpg", "GIF": "gif", "BMP": "bmp", "WEBP": "webp", "TIFF": "tif"}


def _encoded(
    kind: str = "PNG", size: tuple[int, int] = (24, 16), mode: str = "RGB", **options: object
) -> bytes:
    noise = PIL.Image.frombytes("RGB", (24, 16), random.Random(0).randbytes(24 * 16 * 3))
    file = io.BytesIO()
    _in_mode(noise.resize(size), mode).save(file, kind, **options)
    return file.getvalue()


def _in_mode(picture: PIL.Image.Image, mode: str) -> PIL.Image.Image:
    # There is no direct way to 16 bits.
    return (picture.convert("I") if mode == "I;16" else picture).convert(mode)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG that claims a size, and holds what it holds."""
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + _chunk(b"IEND", b"")


def _exif() -> bytes:
    exif = PIL.Image.Exif()
    exif[0x0112] = 99
    return exif.tobytes()


ZEROS = _chunk(b"IDAT", zlib.compress(b"\0" * 10_000_000))
"""A few kilobytes that become ten million."""
IMAGES: dict[str, bytes] = {
    "a bomb": _png(60_000, 60_000, ZEROS),
    "larger than it says": _png(10, 10, ZEROS),
    "of no size": _png(0, 0, ZEROS),
    "without pixels": _png(10, 10),
    "with a text that is a bomb": _png(
        10, 10, _chunk(b"zTXt", b"a\0\0" + zlib.compress(b"a" * 10**8)), ZEROS
    ),
    "of negative size": _png(2**31, 2**31, ZEROS),
    "of one line": _encoded(size=(30_000, 2)),
    "of one column": _encoded(size=(2, 30_000)),
    "of one point": _encoded(size=(1, 1)),
    "of 16 bits": _encoded(mode="I;16"),
    "of floats": _encoded("TIFF", mode="F"),
    "CMYK": _encoded("JPEG", mode="CMYK"),
    "gray with alpha": _encoded(mode="LA"),
    "of one bit": _encoded(mode="1"),
    "of a palette": _encoded("GIF", mode="P"),
    "turned nowhere": _encoded("JPEG", exif=_exif()),
    "with a broken EXIF": _encoded("JPEG", exif=b"Exif\0\0" + b"\xff" * 50),
    "a page": b"<html><script>alert(1)</script></html>",
    "a vector drawing": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n%%EndComments\n(x) run\n",
}


class Recorded:
    """A chat model that is only told what would be sent."""

    name = "recorded"

    def ask(self, requests: list[ChatRequest]) -> list[NoReply]:
        return [NoReply("nothing is sent") for _ in requests]


def read(folder: Path) -> None:
    """All that is done with the images of rows, whatever they are."""
    path = folder / "picture"
    key_of_image(path)
    ServedAsker(Recorded()).ask([Question(path, "what is it?")], max_tokens=4)  # type: ignore[arg-type]
    if path.is_file():
        data = path.read_bytes() if path.resolve().is_relative_to(folder) else b""
        decodes(data)
        data_url(data)
    image_key(path)
    picture = open_image(path)
    contact_sheet([Entry(picture, [Line("a line")])])


@pytest.mark.parametrize("kind", FORMATS)
def test_images(kind: str, tmp_path: Path, fuzz_one: Fuzz) -> None:
    seed = tmp_path / "seed"
    seed.mkdir()
    (seed / "picture").write_bytes(_encoded(kind))
    picked = [] if kind != "PNG" else [*on_file("picture", "refused"), *_all_images()]
    fuzz_one(Reader(seed, read, picked, lambda rng, folder: damage_one(folder, ["picture"], rng)))


def _all_images() -> list[Case]:
    return [Case(f"the picture is {what}", content("picture", data)) for what, data in IMAGES.items()]
