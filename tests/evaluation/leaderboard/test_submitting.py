from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi

from evaluation.leaderboard.reading import Shelf
from evaluation.leaderboard.submitting import prepare
from mmedit_build.errors import UserError
from tests.evaluation.leaderboard.conftest import call

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def test_a_pull_request_has_all_that_a_leaderboard_needs(
    judged: Path, client: HfApi, hub: Any, tmp_path: Path
) -> None:
    client.create_repo(hub.name, repo_type="dataset", private=True)
    done = call("submit", judged / "all", "--to", hub.name)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == f"Pull request: {hub.url}/datasets/{hub.name}/discussions/1"
    ((said, files),) = hub.repo.proposals
    assert said["summary"] == "2 entries for the leaderboard"
    assert "ft, vqa: all 4 edits of" in said["description"]
    assert [name for name in hub.files if name != ".gitattributes"] == []
    # Once it is taken, the dataset is a leaderboard.
    hub.repo.put(files)
    done = call("leaderboard", hub.name, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "4 entries were scored again, on 2 boards." in done.stdout


def test_a_dry_run_sends_nothing_and_shows_everything(judged: Path, client: HfApi, hub: Any) -> None:
    client.create_repo(hub.name, repo_type="dataset", private=True)
    asked = len(hub.requests)
    done = call("submit", judged / "all", "--to", hub.name, "--dry-run")
    assert done.exit_code == 0, done.output
    assert len(hub.requests) == asked
    assert '"method": "ft"' in done.stdout
    assert "Nothing was sent." in done.stdout
    assert done.stdout.count(" bytes  ") == 10


def test_no_place_of_this_machine_is_told(judged: Path, dataset: Path) -> None:
    files = prepare(judged / "all", None, None, limited=False).files
    told = b"".join(data for name, data in files.items() if name.endswith(".json"))
    assert str(dataset.parent).encode() not in told
    assert f'"dataset": "{dataset.name}"'.encode() in told


def test_limited_runs_have_to_say_so_and_get_no_rank(judged: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"unedited was judged on the first 2 of 4 edits: .*--limited"):
        prepare(judged / "few", None, None, limited=False)
    (tmp_path / "board").mkdir()
    done = call("submit", judged / "few", "--to", tmp_path / "board", "--limited")
    assert done.exit_code == 0, done.output
    call("leaderboard", tmp_path / "board", "--out", tmp_path / "out")
    assert "Only the first 2 of 4 edits." in (tmp_path / "out/index.html").read_text()


@pytest.fixture
def run(judged: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(judged / "all", tmp_path / "run"))


def test_unfinished_runs_are_refused(run: Path) -> None:
    path = run / "vqa/ft/results.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match="vqa/ft is not finished: it has 3 edits"):
        prepare(run, None, None, limited=False)


def test_runs_without_the_unedited_row_are_refused(run: Path) -> None:
    shutil.rmtree(run / "caption/unedited")
    with pytest.raises(UserError, match="The row of the unedited model is missing"):
        prepare(run, None, None, limited=False)
    assert len(prepare(run / "vqa/ft", None, None, limited=False).entries) == 2


def test_what_would_be_refused_is_not_sent(run: Path) -> None:
    path = run / "vqa/ft/results.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"match":0.0', b'"match":1.0', 1))
    with pytest.raises(UserError, match=r"This would be refused, so nothing was sent: .*wild match"):
        prepare(run, None, None, limited=False)


def test_another_dataset_is_refused(run: Path, dataset: Path, tmp_path: Path) -> None:
    path = run / "vqa/ft/run.json"
    path.write_bytes(path.read_bytes().replace(b'"dataset_digest": "', b'"dataset_digest": "0'))
    with pytest.raises(UserError, match="is not the dataset that these results are of"):
        prepare(run, str(dataset), None, limited=False)
    with pytest.raises(UserError, match="There are no results in"):
        prepare(tmp_path / "nothing", None, None, limited=False)


def test_secrets_are_refused(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-0123456789abcdef")
    path = run / "vqa/ft/run.json"
    path.write_bytes(path.read_bytes().replace(b'"config": {', b'"config": {"note": "sk-0123456789abcdef",'))
    with pytest.raises(UserError, match="would show the value of SOME_API_KEY, so nothing was sent"):
        prepare(run, None, None, limited=False)


def test_a_home_folder_in_a_text_is_refused(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    path = run / "vqa/ft/run.json"
    path.write_bytes(
        path.read_bytes().replace(b'"template": "checkpoint"', b'"template": "as in /home/somebody/x"')
    )
    with pytest.raises(UserError, match="would show the folder /home/somebody of this machine"):
        prepare(run, None, None, limited=False)


@pytest.mark.usefixtures("client")
def test_the_hub_refuses_in_a_sentence(judged: Path, hub: Any) -> None:
    done = call("submit", judged / "all/vqa/ft", "--to", hub.name)
    assert f"The Hub shows no dataset {hub.name} to this token" in str(done.exception)
    assert call("submit", judged / "all", "--to", "nobody").exception is not None


def test_first_entries_are_accepted_and_keep_their_ranks() -> None:
    from evaluation.leaderboard.boards import make_boards, read_about

    folder = Path(__file__).parents[3] / "leaderboard"
    shelf, about = Shelf.read(folder), read_about(folder)
    assert shelf.refused == []
    boards = {board.setting.task: board for board in make_boards(shelf, about)}
    assert {name: board.edits for name, board in boards.items()} == {"caption": 35, "vqa": 75}
    for board in boards.values():
        for standings in board.standings.values():
            assert {of.level for of in standings} == {"reference"}
            assert len([of for of in standings if of.rank]) == 3
    names = [of.row.entry.header.settings.name for of in boards["caption"].standings["wild"]]
    assert names == ["mend", "ft", "remember", "unedited"]
