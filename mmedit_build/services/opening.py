"""Models that recipes name, opened: in this process or served."""

from __future__ import annotations

from pathlib import Path

from mmedit_build.recipe import Local, LocalMLLM, Model, VisionModel
from mmedit_build.services.asking import Asker, LocalAsker, ServedAsker
from mmedit_build.services.chat import Chat


def open_chat(model: Model, cache: Path) -> Chat:
    """The chat model that a recipe names; replies of served ones are kept in the file `cache`."""
    if isinstance(model, Local):
        from mmedit_build.services.local_chat import LocalChat

        return LocalChat.load(model)
    from mmedit_build.services.served.keeping import open_served

    return open_served(model, cache)


def load_asker(model: VisionModel, requests: Path) -> Asker:
    """The model that a recipe names; `requests` is where the replies of served ones are kept."""
    if isinstance(model, LocalMLLM):
        return LocalAsker.load(model)
    return ServedAsker(open_chat(model, requests))
