from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.data.pictures import check_there, key_of_image
from mmedit_build.errors import UserError
from mmedit_build.pictures import image_key


def test_an_image_that_is_not_there_has_a_key_of_its_own(tmp_path: Path) -> None:
    assert key_of_image(None) is None
    assert key_of_image(b"picture") == image_key(b"picture")
    assert key_of_image(tmp_path / "1.jpg") == key_of_image(tmp_path / "1.jpg")
    assert key_of_image(tmp_path / "1.jpg") != key_of_image(tmp_path / "2.jpg")


def test_only_images_that_are_all_missing_are_a_mistake(tmp_path: Path) -> None:
    here, missing = tmp_path / "1.jpg", tmp_path / "2.jpg"
    here.write_bytes(b"picture")
    fine: list[list[bytes | Path]] = [[missing, here], [missing, b"picture"], [b"broken"], []]
    for some in fine:
        check_there("mine", some)
    with pytest.raises(UserError, match=r"None of the images that mine names is there.*2\.jpg.*--images"):
        check_there("mine", [missing, missing])
