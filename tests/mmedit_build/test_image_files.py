"""Names of images lead nowhere but into their folder, and images have bounds."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from mmedit_build import image_files
from mmedit_build.errors import UserError
from mmedit_build.image_files import MOST_BYTES, MOST_PIXELS, UNREADABLE, image_path, open_encoded, read_image


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of images with a neighbour that is none of theirs."""
    for name in ("images/val", "private"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.jpg").write_bytes(b"")
    return tmp_path / "images"


@pytest.mark.parametrize("name", ["a.jpg", "val/a.jpg", "val/./a.jpg", "gone.jpg", "a..b.jpg", "x" * 300])
def test_names_in_the_folder_are_taken_whether_there_or_not(images: Path, name: str) -> None:
    assert image_path(images, name, "Row 1") == images / name


@pytest.mark.parametrize("name", ["/etc/passwd", "..", "../private/a.jpg", "val/../../private/a.jpg"])
def test_names_that_lead_out_are_refused_by_the_row(images: Path, name: str) -> None:
    with pytest.raises(
        UserError, match=r"^Row 1 names the image '.*', which leads out of the folder .*images;"
    ):
        image_path(images, name, "Row 1")


def test_a_name_without_end_is_shown_in_part(images: Path) -> None:
    with pytest.raises(UserError, match="xxx") as caught:
        image_path(images, "/" + "x" * 100_000, "Row 1")
    assert len(str(caught.value)) < 1000


def test_links_may_lead_about_inside_the_folder(images: Path) -> None:
    (images / "link.jpg").symlink_to("val/a.jpg")
    (images / "other").symlink_to(images / "val")
    assert image_path(images, "link.jpg", "Row 1").resolve() == (images / "val/a.jpg").resolve()
    assert image_path(images, "other/a.jpg", "Row 1").is_file()


def test_the_folder_itself_may_be_a_link(images: Path) -> None:
    (images.parent / "linked").symlink_to(images)
    assert image_path(images.parent / "linked", "val/a.jpg", "Row 1").is_file()


def test_links_that_lead_out_are_refused_with_the_remedy(images: Path) -> None:
    (images / "link.jpg").symlink_to("../private/a.jpg")
    (images / "folder").symlink_to(images.parent / "private")
    (images / "chain.jpg").symlink_to("link.jpg")
    (images / "gone.jpg").symlink_to("/nowhere/at/all")
    (images / "round").symlink_to("round")
    (images / "val" / "beside").symlink_to(images.parent / "images2")
    for name in ("link.jpg", "folder/a.jpg", "chain.jpg", "gone.jpg", "val/beside", "folder/a\0b"):
        with pytest.raises(UserError, match=r"a link that leads out .*; give the folder that really holds"):
            image_path(images, name, "Row 1")
    # A link to itself leads nowhere, and cannot be read.
    with pytest.raises(OSError, match="symbolic links"):
        read_image(image_path(images, "round", "Row 1"))


def test_large_files_are_not_read(tmp_path: Path) -> None:
    with (tmp_path / "large.jpg").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(OSError, match="larger than 67,108,864 bytes"):
        read_image(tmp_path / "large.jpg")
    with pytest.raises(ValueError, match="larger than"):
        open_encoded(bytes(MOST_BYTES + 1))


def _png(width: int, height: int) -> bytes:
    """The head of a picture of that size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_pictures_of_too_many_pixels_are_not_decoded() -> None:
    assert MOST_PIXELS == Image.MAX_IMAGE_PIXELS
    assert open_encoded(_png(9459, 9459)).size == (9459, 9459)
    for side in (9460, 60_000):
        with pytest.raises(UNREADABLE, match="pixels"):
            open_encoded(_png(side, side))


def test_pictures_that_other_programs_would_decode_are_refused() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "EPS")
    with pytest.raises(ValueError, match="in the format EPS"):
        open_encoded(buffer.getvalue())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_usual_formats_open(kind: str) -> None:
    assert kind in image_files.FORMATS
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3)).save(buffer, kind)
    assert open_encoded(buffer.getvalue()).size == (4, 3)
