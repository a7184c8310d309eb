"""What `mmedit-eval list --model` shows: a checkpoint as the project sees it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from mmedit_build.checkpoints import locate
from mmedit_build.console import quiet_loading
from mmedit_build.mllm.found import Found, look_into
from mmedit_build.mllm.rendering import CHECKPOINT


def model_table(name: str, template: str | None) -> Table:
    """Load the model and draw what was found."""
    quiet_loading()
    found = look_into(locate(name), template=template or CHECKPOINT)
    # Texts, as square brackets in plain strings would be read as markup.
    drawn = Table("what", "found", title=Text(name))
    for what, value in _lines(found):
        drawn.add_row(what, Text(value))
    return drawn


def _lines(found: Found) -> Iterator[tuple[str, str]]:
    of = found.family if found.known else "generic, as no file knows the type: found by structure"
    yield "type", found.model_type
    yield "family", of
    yield "precision here", found.dtype
    for part, number in found.parts.items():
        yield part, f"{number:,} parameters" if number else "no parameters"
    yield "layers", f"{found.layers} (0 to {found.layers - 1})"
    for name, shape in found.linears.items():
        yield "MLP of layer 0", f"{name} ({' x '.join(map(str, shape))})"
    width, height = found.picture
    yield "tokens of an image", f"{found.image_tokens}, of {width} x {height} pixels"
    yield "with an image", repr(found.template)
    yield "without", repr(found.text_template)
    yield "an answer ends with", ", ".join(map(repr, found.ends)) or "nothing that the checkpoint names"
    yield "checked", f"logits differ from the model's own by {found.difference:.1g} of the largest at most"
