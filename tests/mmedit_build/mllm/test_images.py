from __future__ import annotations

from pathlib import Path

import PIL.Image
import pytest

from mmedit_build.errors import UserError
from mmedit_build.mllm.images import image_key, open_image


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


def test_what_is_no_image() -> None:
    with pytest.raises(UserError, match="11 bytes"):
        open_image(b"hello world")
