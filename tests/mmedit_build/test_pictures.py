from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import PIL.Image
import pytest

from mmedit_build.errors import UserError
from mmedit_build.pictures import image_key, open_image

ORIENTATION = 0x0112
TURNED = 6


@pytest.fixture
def pictures() -> list[PIL.Image.Image]:
    return [PIL.Image.effect_noise((9, 7), sigma).convert("RGB") for sigma in (10, 50, 90)]


def test_keys_tell_pictures_apart(pictures: list[PIL.Image.Image]) -> None:
    assert len({image_key(picture) for picture in pictures}) == len(pictures)
    assert image_key(pictures[0].copy()) == image_key(pictures[0])
    wide, high = PIL.Image.new("RGB", (8, 2)), PIL.Image.new("RGB", (2, 8))
    assert image_key(wide) != image_key(high)


def test_all_forms_open_to_the_same_pixels(pictures: list[PIL.Image.Image], tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    pictures[0].save(file)
    opened = [open_image(form) for form in (pictures[0], file, file.read_bytes())]
    assert {image.tobytes() for image in opened} == {pictures[0].tobytes()}


def test_grey_pictures_become_rgb() -> None:
    assert open_image(PIL.Image.new("L", (4, 4), 7)).getpixel((0, 0)) == (7, 7, 7)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="check the path"):
        image_key(tmp_path / "none.png")


def test_a_pipe_and_a_device_are_no_images(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "pipe.jpg", Path("/dev/zero")):
        with pytest.raises(UserError, match="not a regular file"):
            open_image(path)


def test_what_is_no_image() -> None:
    with pytest.raises(UserError, match="11 bytes"):
        open_image(b"hello world")


def test_pictures_are_turned_as_their_exif_says() -> None:
    exif = PIL.Image.Exif()
    exif[ORIENTATION] = TURNED
    lying, buffer = PIL.Image.new("RGB", (8, 2)), io.BytesIO()
    lying.save(buffer, "PNG", exif=exif)
    turned = PIL.Image.open(buffer)
    assert open_image(buffer.getvalue()).size == open_image(turned).size == (2, 8)
    assert image_key(turned) != image_key(lying)


def test_a_picture_of_absurd_size_is_refused() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(UserError, match="Cannot read a value"):
        open_image(bomb)


def test_sixteen_bits_are_refused_rather_than_bleached(tmp_path: Path) -> None:
    PIL.Image.new("I;16", (4, 4), 30000).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png.*8 bits"):
        open_image(tmp_path / "a.png")


def test_a_file_that_changes_under_its_name_is_another_image(
    pictures: list[PIL.Image.Image], tmp_path: Path
) -> None:
    file = tmp_path / "a.png"
    keys = set()
    for picture in pictures:
        picture.save(file)
        keys.add(image_key(file))
    assert len(keys) == len(pictures)
