"""No secret gets into what is published."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest

from mmedit_build.errors import UserError
from mmedit_build.publishing import check_folder
from mmedit_build.rows import EditRow

KEY = "sk-0123456789"
FORMS = [KEY, *(b64encode(f"{before}{KEY}".encode()).decode() for before in ("", "me:", "Bearer "))]


def in_prediction(edit: EditRow, text: str) -> EditRow:
    return replace(edit, prediction=f"It is {text}.")


def in_model(edit: EditRow, text: str) -> EditRow:
    return replace(edit, rephrase=replace(edit.rephrase, model=text))  # type: ignore[type-var]


def in_answers(edit: EditRow, text: str) -> EditRow:
    return replace(edit, answers=("cat", text))


def in_id(edit: EditRow, text: str) -> EditRow:
    return replace(edit, id=f"vqa/{text}")


def in_fact(edit: EditRow, text: str) -> EditRow:
    assert edit.locality is not None
    items = tuple(replace(one, id="nq/told", prediction=text) for one in edit.locality.text)
    return replace(edit, locality=replace(edit.locality, text=items))


@pytest.mark.parametrize("variable", ["OPENAI_API_KEY", "HF_TOKEN"])
@pytest.mark.parametrize("form", FORMS)
def test_a_secret_in_a_row_is_told_by_its_place(
    world: Any, monkeypatch: pytest.MonkeyPatch, variable: str, form: str
) -> None:
    monkeypatch.setenv(variable, KEY)
    edits = [*world.edits[:2], in_prediction(world.edits[2], form), *world.edits[3:]]
    with pytest.raises(UserError) as caught:
        world.build(edits)
    place = "The prediction of vqa/val2014/2 in vqa/train would show the value of the environment variable "
    assert place + variable in str(caught.value)
    assert form not in str(caught.value)
    assert not world.work.dataset.exists()


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (in_model, "The rephrase_model of vqa/val2014/0 in vqa/train"),
        (in_answers, "The answers of vqa/val2014/0 in vqa/train"),
        (in_id, "The id of vqa/[key] in vqa/train"),
        (in_fact, "The prediction of nq/told in text_locality/train"),
    ],
)
def test_a_secret_is_found_in_every_column(
    world: Any, monkeypatch: pytest.MonkeyPatch, change: Any, place: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    world.build()
    with pytest.raises(UserError) as caught:
        world.build([change(world.edits[0], KEY), *world.edits[1:]])
    assert place in str(caught.value)
    assert KEY not in str(caught.value)


def test_a_secret_in_the_recipe_gets_into_neither_manifest_nor_card(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with pytest.raises(UserError, match=r"README\.md would show .* OPENAI_API_KEY"):
        world.build(recipe=world.recipe().model_copy(update={"seed": f"my {KEY}"}))


def test_a_secret_is_found_before_a_finished_dataset_is_published(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = world.build([in_prediction(world.edits[0], KEY), *world.edits[1:]])
    check_folder(folder)
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
    with pytest.raises(UserError, match="would show the value"):
        check_folder(folder)


def test_the_token_of_the_hub_is_known_from_its_file_too(
    world: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    (tmp_path / "token").write_text(KEY)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    with pytest.raises(UserError, match="would show the token of the Hub"):
        world.build([in_prediction(world.edits[0], KEY), *world.edits[1:]])


def test_words_that_stand_for_no_key_may_occur(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "chat")
    assert world.build()
