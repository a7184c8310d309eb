from __future__ import annotations

import pytest
import torch

from evaluation.run.attempts import Attempts, Settled
from mmedit_build.errors import UserError


def fail(told: str = "No train split is here.") -> None:
    raise UserError(told)


def test_what_succeeds_is_kept_and_what_fails_is_told_at_the_end() -> None:
    attempts = Attempts[str]()
    for task in ("vqa", "caption"):
        for method in ("ft", "ike", "mend"):
            with attempts.at(method, task):
                if method != "ft":
                    fail("No encoder is here." if method == "ike" else "No train split is here.")
                attempts.done.append(f"{task}/{method}")
    settled = attempts.settled()
    assert settled.done == ["vqa/ft", "caption/ft"]
    assert str(settled.failed) == (
        "All is done but ike for vqa and caption: No encoder is here. "
        "All is done but mend for vqa and caption: No train split is here."
    )


def test_methods_that_fail_alike_are_told_in_one_sentence() -> None:
    attempts = Attempts[str]()
    attempts.done.append("unedited")
    for method in ("ke", "mend"):
        with attempts.at(method, "vqa"):
            fail()
    assert str(attempts.settled().failed) == "All is done but ke, mend for vqa: No train split is here."


def test_where_nothing_was_done_only_the_reason_is_told() -> None:
    attempts = Attempts[str]()
    with attempts.at("ke", "vqa"):
        fail()
    assert str(attempts.settled().failed) == "No train split is here."


def run_out() -> None:
    raise torch.OutOfMemoryError


def test_a_want_of_memory_keeps_no_other_method_from_its_results() -> None:
    attempts = Attempts[str]()
    with attempts.at("mend", "vqa"):
        run_out()
    attempts.done.append("ft")
    told = str(attempts.settled().failed)
    assert told.startswith("All is done but mend for vqa: The memory of the device")


def test_a_bug_stays_a_bug() -> None:
    attempts = Attempts[str]()
    with pytest.raises(ZeroDivisionError), attempts.at("ke", "vqa"):
        raise ZeroDivisionError
    assert attempts.settled() == Settled([], None)
