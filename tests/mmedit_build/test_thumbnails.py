"""Images become small, whatever they are."""

from __future__ import annotations

import base64
import io

from PIL import Image

from mmedit_build.thumbnails import data_url


def _encoded(size: tuple[int, int], kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(file, kind)
    return file.getvalue()


def _decoded(url: str | None) -> Image.Image:
    _, _, content = (url or "").partition(";base64,")
    return Image.open(io.BytesIO(base64.b64decode(content)))


def test_drawings_of_a_few_pixels_keep_them_all() -> None:
    drawing = _encoded((64, 64))
    url = data_url(drawing)
    assert (url or "").startswith("data:image/png;base64,")
    assert Image.open(io.BytesIO(drawing)).tobytes() == _decoded(url).tobytes()


def test_a_photo_becomes_as_small_as_is_asked() -> None:
    url = data_url(_encoded((900, 600), "JPEG"), 150)
    assert (url or "").startswith("data:image/jpeg;base64,")
    assert _decoded(url).size == (150, 100)


def test_what_is_no_image_has_no_url() -> None:
    assert data_url(b"no image") is None
    assert data_url(_encoded((64, 64))[:200]) is None
