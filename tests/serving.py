"""Pages served as the commands serve them, for as long as a test looks at them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI

from mmedit_build.pages.serving import listen, server


@contextmanager
def running(app: FastAPI) -> Iterator[int]:
    """Serves it; the port."""
    running = server(app)
    with listen(0) as listening:
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            running.should_exit = True
            thread.join()
