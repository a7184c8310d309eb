"""Images opened in a thread, a few before they are asked for: a device need not wait for their decoding."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import PIL.Image

from mmedit_build.pictures import Image, open_image

MOST = 64
"""Pictures that are open before they are asked for, at most: 60 MB of 640 x 480."""


class Ahead:
    """Opens images in the order in which they will be asked for, by their keys."""

    def __init__(self, images: Iterable[tuple[str, Image]]) -> None:
        self._waiting = iter(images)
        self._opened: dict[str, Future[PIL.Image.Image]] = {}
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="images")

    def __enter__(self) -> Ahead:
        for _ in range(MOST):
            self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def take(self, key: str, image: Image) -> PIL.Image.Image:
        """The picture; what is wrong with its file is raised here."""
        opened = self._opened.pop(key, None)
        if opened is None:
            return open_image(image)
        self._begin()
        return opened.result()

    def _begin(self) -> None:
        for key, image in self._waiting:
            self._opened[key] = self._pool.submit(open_image, image)
            return
