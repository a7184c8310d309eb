"""What lists tell of editors, kept in a file: the editors themselves take seconds to import.

`python -m editors.listed` writes the file anew; a test fails while it is not what the editors say.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from editors import EDITORS, editor_class, known_editors
from editors.families import MethodFamily

if TYPE_CHECKING:
    from editors.base import Editor

FILE = Path(__file__).parent / "listed.json"


@dataclass(frozen=True, slots=True)
class Option:
    """A field of an editor's configuration."""

    name: str
    default: Any
    meaning: str


@dataclass(frozen=True, slots=True)
class Listed:
    """An editor without its code."""

    about: str
    family: MethodFamily
    touches: str
    learns: bool
    """Whether it has to see the train split first."""
    batch: bool
    """Whether one patch may make several edits."""
    options: tuple[Option, ...]


def listed() -> dict[str, Listed]:
    """All editors by name, from the file; those of other packages speak for themselves."""
    known = {name: _of_json(content) for name, content in json.loads(FILE.read_text("utf-8")).items()}
    return {name: known[name] if name in known else describe(editor_class(name)) for name in known_editors()}


def describe(found: type[Editor]) -> Listed:
    """What an editor says of itself."""
    # Imported here, as it is what lists shall not wait for.
    from editors.base import Learner

    fields = found.Config.model_json_schema(mode="serialization").get("properties", {})
    return Listed(
        about=(inspect.getdoc(found) or "").partition("\n")[0],
        family=found.family,
        touches=found.touches,
        learns=issubclass(found, Learner),
        batch=found.batch,
        options=tuple(
            Option(option, field.get("default"), " ".join(field.get("description", "").split()))
            for option, field in fields.items()
        ),
    )


def _of_json(content: Mapping[str, Any]) -> Listed:
    options = tuple(Option(**option) for option in content["options"])
    return Listed(**{**content, "options": options})


def main() -> None:
    """Write the file."""
    content = {name: asdict(describe(editor_class(name))) for name in EDITORS}
    FILE.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
