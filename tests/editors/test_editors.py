"""Finding editors by name, and mistakes in names and options."""

from __future__ import annotations

import subprocess
import sys

import pytest

from editors import load_editor
from editors.base import mllm_of, reuse
from editors.ft import FT
from mmedit_build.errors import UserError


def test_options_go_over_the_defaults() -> None:
    editor = load_editor("ft", {"lr": 0.5})
    assert isinstance(editor, FT)
    assert editor.config.lr == 0.5
    assert editor.config.steps == 15


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("fl", {}, "There is no editor 'fl'; did you mean 'ft-l'? Editors: calinet, "),
        ("zzzzz", {}, "There is no editor 'zzzzz'. Editors: calinet, "),
        ("ft", {"step": 3}, "Editor 'ft' has no option 'step'; did you mean 'steps'? Options: part, "),
        ("ft", {"steps": 0}, "Option 'steps' of editor 'ft' cannot be 0: "),
        ("ft", {"optimizer": "sgd"}, "Option 'optimizer' of editor 'ft' cannot be 'sgd': "),
        (
            "ft",
            {"steps": 10**30},
            "Option 'steps' of editor 'ft' cannot be 1000000000000000000000000000000: Input should be less",
        ),
    ],
)
def test_mistakes_are_told_with_the_nearest_name(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as raised:
        load_editor(name, options)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_names_are_listed_without_loading_torch() -> None:
    code = "import sys, editors; assert editors.EDITORS; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_lowest_layer_holds_for_patches_inside_each_other() -> None:
    assert reuse([5, 3, 6]) == 3
    assert reuse([5, None]) is None
    assert reuse([]) is None


def test_something_else_is_no_model() -> None:
    with pytest.raises(TypeError, match="no MLLM"):
        mllm_of("a model")  # type: ignore[arg-type]
