from __future__ import annotations

from pathlib import Path

import pytest

from mmedit_build import checkpoints
from mmedit_build.checkpoints import BUNDLED, locate
from mmedit_build.errors import UserError


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_names_are_folders_with_safetensors(name: str) -> None:
    folder = Path(locate(name))
    assert folder.is_dir()
    assert list(folder.rglob("*.safetensors"))


def test_all_bundled_checkpoints_are_small() -> None:
    files = [path for path in checkpoints.WEIGHTS.rglob("*") if path.is_file()]
    assert files
    assert sum(path.stat().st_size for path in files) < 24 * 1000**2


@pytest.mark.parametrize("name", ["Salesforce/blip2-opt-2.7b", "./miniature/mllm", "/somewhere/else"])
def test_other_names_are_returned_as_they_are(name: str) -> None:
    assert locate(name) == name


def test_a_folder_of_the_user_may_begin_like_a_bundled_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("miniature/mine").mkdir(parents=True)
    assert locate("miniature/mine") == "miniature/mine"


def test_an_unknown_bundled_name_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'miniature/diffusion'"):
        locate("miniature/difusion")
    with pytest.raises(UserError, match=r"no bundled checkpoint 'miniature/zebra'\. Bundled: miniature/"):
        locate("miniature/zebra")


def test_an_installation_without_weights_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BUNDLED, "miniature/chat", tmp_path / "absent")
    with pytest.raises(UserError, match=r"python -m mmedit_build\.miniature\.train chat"):
        locate("miniature/chat")
