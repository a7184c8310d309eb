"""Where a named checkpoint lies: bundled with this package, in a folder, or on the Hub."""

from __future__ import annotations

from pathlib import Path

from mmedit_build.errors import UserError, nearest
from mmedit_build.storage.copies import at_home

WEIGHTS = Path(__file__).parents[1] / "miniature" / "weights"
BUNDLED = {
    "miniature/mllm": WEIGHTS / "mllm",
    "miniature/qwen": WEIGHTS / "qwen",
    "miniature/chat": WEIGHTS / "chat",
    "miniature/hops": WEIGHTS / "hops",
    "miniature/diffusion": WEIGHTS / "diffusion",
    "miniature/clip": WEIGHTS / "clip",
}
PREFIX = "miniature/"


def locate(name: str) -> str:
    """What `from_pretrained` should be given for a name: a bundled folder, or the name itself."""
    if name in BUNDLED:
        return _bundled_folder(name)
    if name.startswith(PREFIX) and not Path(name).is_dir():
        # What all have in common makes none of them near.
        near = nearest(name.removeprefix(PREFIX), [one.removeprefix(PREFIX) for one in BUNDLED])
        meant = f"; did you mean '{PREFIX}{near}'?" if near else "."
        raise UserError(f"There is no bundled checkpoint {name!r}{meant} Bundled: {', '.join(BUNDLED)}.")
    return at_home(name)


def _bundled_folder(name: str) -> str:
    folder = BUNDLED[name]
    if not folder.is_dir():
        role = name.removeprefix(PREFIX)
        raise UserError(
            f"The bundled checkpoint {name!r} is missing from this installation; install mmedit again, "
            f"or train it with `python -m mmedit_build.miniature.train {role}`."
        )
    return str(folder)
