from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.leaderboard.cleaning import public_name, without_paths


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Salesforce/blip2-opt-2.7b", "Salesforce/blip2-opt-2.7b"),
        ("org/name@refs/pr/1", "org/name@refs/pr/1"),
        ("miniature/mllm", "miniature/mllm"),
        ("/home/me/models/mine", "mine"),
        ("runs/miniature/dataset", "miniature"),
        ("../mine/", "mine"),
        ("~/mine", "mine"),
    ],
)
def test_names_are_public(name: str, shown: str) -> None:
    assert public_name(name) == shown


def test_a_folder_that_is_here_is_no_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret/project").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert public_name("secret/project") == "project"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("The image /home/me/coco/1.jpg is missing.", "The image 1.jpg is missing."),
        ("No '/a/b/c.png', ~/x/y", "No 'c.png', y"),
        ("either/or 1/2 https://a.b/c", "either/or 1/2 https://a.b/c"),
    ],
)
def test_sentences_name_no_folders(text: str, shown: str) -> None:
    assert without_paths(text) == shown
