"""Finding editors by name, and mistakes in names and options."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from editors import load_editor, make_editor, own_class
from editors.ft import FT
from editors.under import mllm_of
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query


def test_options_go_over_the_defaults() -> None:
    editor = load_editor("ft", {"lr": 0.5})
    assert isinstance(editor, FT)
    assert editor.config.lr == 0.5
    assert editor.config.steps == 15


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("fl", {}, "There is no editor 'fl'; did you mean 'ft-l'? `mmedit-eval list` shows what there is."),
        ("zzzzz", {}, "There is no editor 'zzzzz'; `mmedit-eval list` shows what there is."),
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


def test_something_else_is_no_model() -> None:
    with pytest.raises(TypeError, match="no MLLM"):
        mllm_of("a model")  # type: ignore[arg-type]


OWN = """
from editors.ft import FT

print("run")

class Mine(FT):
    pass

class Half:
    Config = FT.Config
    family = "fine-tuning"

class Loose(FT):
    Config = dict

class Strange(FT):
    family = "magic"
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module with editors in the user's folder."""
    (tmp_path / "mine_of_a_user.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    yield "mine_of_a_user"
    sys.modules.pop("mine_of_a_user", None)


def test_an_editor_of_the_user_is_found_where_the_user_is(own: str) -> None:
    paths = list(sys.path)
    editor = make_editor("mine", own_class(f"{own}:Mine"), {"lr": 0.5})
    assert isinstance(editor, FT)
    assert type(editor).__name__ == "Mine"
    assert editor.config.lr == 0.5
    assert sys.path == paths


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("{own}:Yours", "The module mine_of_a_user has no class 'Yours'; give mine_of_a_user:Mine or "),
        ("{own}:FT.x", "has no class 'FT.x'"),
        ("{own}:OWN", "has no class 'OWN'"),
        ("{own}:Half", "mine_of_a_user:Half is no editor, as it has no touches; docs/editors.md says"),
        ("{own}:Loose", "mine_of_a_user:Loose has a Config that is no pydantic model; docs/editors.md says"),
        ("{own}:Strange", "mine_of_a_user:Strange is of the family 'magic'; there are fine-tuning, memory"),
        (
            "no_such_module:Mine",
            "Python finds no module no_such_module; give module:Class of an editor in this",
        ),
        ("../mine:Mine", "'../mine:Mine' is no place of an editor; give package.module:Class."),
        (".mine:Mine", "is no place of an editor"),
        ("mine:", "is no place of an editor"),
    ],
)
def test_what_is_no_editor_is_told(own: str, place: str, message: str) -> None:
    with pytest.raises(UserError) as raised:
        own_class(place.format(own=own))
    assert message in str(raised.value)


def test_what_goes_wrong_in_a_users_module_is_told_as_the_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine_that_fails.py").write_text("class Mine(Strict): ...\n")
    with pytest.raises(UserError, match=r"mine_that_fails cannot be imported.*NameError"):
        own_class("mine_that_fails:Mine")


def test_the_documented_method_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, miniature: MLLM
) -> None:
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "editors.md").read_text(encoding="utf-8")
    Path("my_documented_module.py").write_text(page.split("```python\n")[1].split("```")[0])
    editor = make_editor("louder", own_class("my_documented_module:Louder"))
    asked = [Query(None, "What do cats eat?", "mice")]
    before = miniature.score(asked)[0].log_prob
    with editor.plan(miniature, []).applied(miniature):
        assert miniature.score(asked)[0].log_prob != before
    assert miniature.score(asked)[0].log_prob == before


def test_a_name_that_a_file_may_give_is_never_the_place_of_code(
    own: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="There is no editor 'mine_of_a_user:Mine'"):
        load_editor(f"{own}:Mine")
    assert capsys.readouterr().out == ""
