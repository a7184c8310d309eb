"""YAML files of users, read strictly: whatever is odd about one is told in one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from mmedit_build.errors import UserError, shortened
from mmedit_build.files import read_bytes

MOST_BYTES = 16 << 20
"""Of a file that people write."""


def read_file(path: Path, name: str) -> Any:
    """What a YAML file holds; `name` is how sentences call it, such as "the recipe x.yaml"."""
    try:
        text = read_bytes(path, MOST_BYTES).decode("utf-8")
    except FileNotFoundError as error:
        raise UserError(f"Cannot read {name}, as there is no such file; check its path.") from error
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


LARGEST = 10**100
"""What no number in a file of settings comes near to."""


class _Strict(yaml.SafeLoader):
    """As the safe loader, but a key may stand only once in its section, and no number is endless."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key, times in Counter(keys).items():
            if times > 1:
                line = node.start_mark.line + 1
                raise yaml.YAMLError(f"{key} stands {times} times in the section that begins in line {line}")
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        number = super().construct_yaml_int(node)
        # One of thousands of digits, which few letters suffice for, could not even be told.
        if abs(number) >= LARGEST:
            raise yaml.YAMLError(f"the number in line {node.start_mark.line + 1} is too large")
        return number


_Strict.add_constructor("tag:yaml.org,2002:int", _Strict.construct_yaml_int)
