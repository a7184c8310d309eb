"""Running stages: every row once, resumed after any end, the same rows whatever the number of workers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmedit_build.engine import planning
from mmedit_build.engine.base import Failed, Rejected
from mmedit_build.engine.known import ends_of, unknown
from mmedit_build.engine.local import Local
from mmedit_build.engine.run import Job, run
from mmedit_build.engine.shards import Tally
from mmedit_build.errors import UserError
from tests.mmedit_build.engine.conftest import Doubling, Number, numbers


def quiet(number: int, tally: Tally) -> None:
    pass


def finished(job: Job[Any], workers: int = 1, **options: Any) -> list[Any]:
    return list(run(job, Local(workers), **{"retry_failed": False, "advance": quiet, **options}))


def seen(job: Job[Any]) -> list[str]:
    path: Path = job.stage.seen  # type: ignore[attr-defined]
    return path.read_text().split() if path.exists() else []


def test_each_row_has_its_outcome_in_order(job: Job[Any]) -> None:
    outcomes = finished(job)
    assert [one.id for one in outcomes] == [row.id for row in job.rows]
    assert [type(one).__name__ for one in outcomes[:6]] == [
        "Number", "Number", "Rejected", "Number", "Failed", "Rejected",
    ]  # fmt: skip
    assert outcomes[0].value == 2
    assert outcomes[2] == Rejected("n/3", "three", numbers(50)[2])
    assert outcomes[4] == Failed("n/5", "five")
    assert len(seen(job)) == 50


def test_a_second_run_does_nothing_and_gives_the_same(job: Job[Any]) -> None:
    first = finished(job)
    told: list[tuple[int, str]] = []
    assert finished(job, advance=lambda number, tally: told.append((number, str(tally)))) == first
    assert len(seen(job)) == 50
    assert told == [(50, "27 kept, 13 rejected, 10 failed")]


def test_a_run_that_was_interrupted_goes_on_where_it_stopped(job: Job[Any]) -> None:
    undisturbed = finished(replace(job, folder=job.folder.with_name("other")))
    job.stage.seen.unlink()  # type: ignore[attr-defined]
    dying = replace(job, stage=replace(job.stage, dies_at=20))  # type: ignore[type-var]
    with pytest.raises(KeyboardInterrupt):
        finished(dying)
    assert len(seen(job)) == 19
    assert finished(job) == undisturbed
    # The rows of the unfinished shard (17 to 19) were seen twice, all others once.
    assert len(seen(job)) == 53


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_in_processes_give_the_same_rows(job: Job[Any], workers: int) -> None:
    alone = finished(job)
    together = replace(job, folder=job.folder.with_name("other"))
    assert finished(together, workers=workers) == alone
    names = [sorted(path.name for path in (one.folder / "shards").iterdir()) for one in (job, together)]
    assert names[0] == names[1]


def test_failed_rows_alone_are_tried_again_when_asked(job: Job[Any]) -> None:
    finished(job)
    job.stage.mended.touch()  # type: ignore[attr-defined]
    assert sum(isinstance(one, Failed) for one in finished(job)) == 10
    failures = [one.id for one in finished(job) if isinstance(one, Failed)]
    most = finished(job, retry_failed=True, tried=failures[:3])
    assert [one.id for one in most if isinstance(one, Failed)] == failures[:3]
    assert len(seen(job)) == 57
    again = finished(job, retry_failed=True)
    assert not any(isinstance(one, Failed) for one in again)
    assert len(seen(job)) == 60
    assert finished(job) == again


def test_rows_that_changed_cost_only_themselves(job: Job[Any]) -> None:
    finished(job)
    rows = list(job.rows)
    changed = replace(job, rows=[*rows[:10], replace(rows[10], value=1), *rows[12:]])  # type: ignore[type-var]
    outcomes = finished(changed)
    assert len(outcomes) == 49
    assert outcomes[10].value == 2
    assert seen(job)[50:] == ["n/11"]
    assert finished(job)[10].value == 22
    assert len(seen(job)) == 51


def test_a_smaller_plan_costs_nothing_that_a_larger_one_had_done(job: Job[Any]) -> None:
    whole = finished(job)
    assert finished(replace(job, rows=numbers(10))) == whole[:10]
    assert finished(job) == whole
    assert len(seen(job)) == 50


def test_shards_that_are_repeated_by_the_present_plan_are_removed(job: Job[Any]) -> None:
    finished(replace(job, rows=numbers(10)))
    finished(job)
    assert len(list((job.folder / "shards").iterdir())) == 7


def test_other_settings_are_refused_by_name(job: Job[Any]) -> None:
    finished(job)
    with pytest.raises(UserError, match=r"size\.a was 1 and is now 2"):
        finished(replace(job, settings={"size": {"a": 2}}))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"null", "does not hold the settings of a stage"),
        (b"[" * 9000, "is not whole JSON"),
        (b"{", "is not whole JSON"),
    ],
)
def test_settings_that_are_none_are_told(job: Job[Any], content: bytes, told: str) -> None:
    finished(job)
    (job.folder / "manifest.json").write_bytes(content)
    with pytest.raises(UserError, match=rf"manifest\.json {told}.*delete .*work and run that stage again"):
        finished(job)


def test_a_long_setting_is_shown_in_part(job: Job[Any]) -> None:
    finished(replace(job, settings={"size": "x" * 5000}))
    with pytest.raises(UserError, match=r"size was .x+ \.\.\. x+. and is now") as caught:
        finished(job)
    assert len(str(caught.value)) < 600


def test_two_rows_of_one_id_are_refused(job: Job[Any]) -> None:
    with pytest.raises(UserError, match="n/1"):
        finished(replace(job, rows=numbers(1) * 2))


def test_a_stage_that_loses_a_row_is_a_bug(job: Job[Any]) -> None:
    class Losing:
        def devices(self) -> Any:
            return ()

        def open(self) -> None: ...

        def __call__(self, rows: Any) -> Any:
            return rows[1:]

    with pytest.raises(RuntimeError, match="one outcome for each row"):
        finished(replace(job, stage=Losing()))


def test_a_broken_shard_file_is_named(job: Job[Any]) -> None:
    finished(job)
    path = next((job.folder / "shards").iterdir())
    path.write_text('{"id": "n/1", "of"')
    with pytest.raises(UserError, match=path.name):
        finished(job)


def test_a_worker_that_is_killed_is_told(job: Job[Any]) -> None:
    with pytest.raises(UserError, match="ended before its time"):
        finished(replace(job, stage=Deadly()), workers=2)
    assert len(finished(job)) == 50


class Deadly:
    def devices(self) -> Any:
        return ()

    def open(self) -> None: ...

    def __call__(self, rows: Any) -> Any:
        assert rows
        os.kill(os.getpid(), signal.SIGKILL)


def test_line_separators_inside_a_text_are_kept(tmp_path: Path) -> None:
    odd = Number("n/\u2028\u0085\r\n", 1)
    job = Job(tmp_path / "work", Doubling(tmp_path / "seen"), [odd], Number, {}, 8)
    finished(job)
    assert finished(job) == [replace(odd, value=2)]


def test_what_stands_beside_a_row_decides_with_it(job: Job[Any]) -> None:
    finished(job)
    finished(replace(job, beside={"n/7": "new"}))
    assert seen(job)[50:] == ["n/7"]
    finished(replace(job, beside={"n/7": "new"}))
    assert len(seen(job)) == 51


class Streamed:
    """Rows that no list holds: only their number is known beforehand."""

    def __iter__(self) -> Iterator[Number]:
        return iter(numbers(50))


@pytest.mark.parametrize("workers", [1, 2])
def test_rows_may_be_streamed(job: Job[Any], workers: int) -> None:
    whole = finished(job)
    streamed = replace(job, folder=job.folder.with_name("other"), rows=Streamed())
    assert finished(streamed, workers=workers) == whole
    assert finished(streamed) == whole


def test_ids_are_told_apart_whatever_their_hashes(job: Job[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "hash", lambda row_id: len(row_id), raising=False)
    assert len(finished(job)) == 50


def test_what_is_known_is_found_wherever_it_stands(job: Job[Any]) -> None:
    whole = finished(job)
    first = {path.name for path in (job.folder / "shards").iterdir()}
    assert finished(replace(job, shard_rows=7)) == whole
    assert not first & {path.name for path in (job.folder / "shards").iterdir()}
    assert finished(replace(job, rows=numbers(50)[::-1], shard_rows=20)) == whole[::-1]
    assert len(seen(job)) == 50


def test_outcomes_are_read_again_and_counted(job: Job[Any]) -> None:
    outcomes = run(job, Local(1), retry_failed=False, advance=quiet)
    assert [*outcomes] == [*outcomes]
    assert len(outcomes) == 50
    assert outcomes.tally == Tally().add(outcomes)


def test_rows_without_an_outcome_are_told(job: Job[Any]) -> None:
    finished(replace(job, rows=numbers(20)))
    assert unknown(job.shards, numbers(25), {"n/3": "new"}) == [numbers(3)[2], *numbers(25)[20:]]
    assert ends_of(job.shards) == Tally().add(finished(replace(job, rows=numbers(20))))


def test_no_rows_are_no_shards(job: Job[Any]) -> None:
    assert finished(replace(job, rows=[])) == []
