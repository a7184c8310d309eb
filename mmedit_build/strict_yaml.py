"""YAML files of users, read strictly: whatever is odd about one is told in one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from mmedit_build.errors import UserError, shortened


def read_file(path: Path, name: str) -> Any:
    """What a YAML file holds; `name` is how sentences call it, such as "the recipe x.yaml"."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = shortened(str(error))
        raise UserError(f"Cannot read {name} ({reason}); give a YAML file in UTF-8.") from error
    return parse(text, name)


def parse(text: str, name: str) -> Any:
    """What YAML text holds; `name` as for `read_file`."""
    try:
        return yaml.load(text, Loader=_Strict)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"Cannot read {name} as YAML ({shortened(str(error))}); correct it there.") from error


class _Strict(yaml.SafeLoader):
    """As the safe loader, but a key may stand only once in its section."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key, times in Counter(keys).items():
            if times > 1:
                line = node.start_mark.line + 1
                raise yaml.YAMLError(f"{key} stands {times} times in the section that begins in line {line}")
        return super().construct_mapping(node, deep)
