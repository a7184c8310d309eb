"""Servers that are killed while people answer: what was acknowledged is there, and others go on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from http.client import HTTPException

from mmedit_build.review.answers import Answer, folder_of, open_answers, read_answers
from mmedit_build.review.asked import asked_of
from mmedit_build.review.order import drawn
from tests.mmedit_build.review.conftest import Drawn, MakeDrawn
from tests.mmedit_build.review.test_server import told

ROUNDS = 3
CODE = "import sys; from mmedit_build.cli import main; main()"


class Person:
    """Somebody who answers as fast as the server acknowledges, until it is killed."""

    def __init__(self, build: Drawn, who: str, answer: Answer) -> None:
        self.build, self.who, self.answer = build, who, answer
        self.kept: set[str] = set()
        """What the server acknowledged."""

    def serve(self) -> tuple[subprocess.Popen[str], int]:
        arguments = ["review", str(self.build.work.folder), "--who", self.who, "--port", "0", "--rows", "500"]
        server = subprocess.Popen([sys.executable, "-c", CODE, *arguments], stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", server.stdout.readline())
        assert found is not None
        return server, int(found[1])

    def sit_down(self, enough: int) -> None:
        """Answer, and have the server killed while it does what comes after so many answers."""
        server, port = self.serve()
        left = [
            one.of for edit in drawn(self.build.edits) for one in asked_of(edit) if one.of not in self.kept
        ]
        try:
            for number, of in enumerate(left):
                if number == enough:
                    threading.Timer(0.02, server.send_signal, [signal.SIGKILL]).start()
                told(port, "/api/answers", {"of": of, "answer": self.answer})
                self.kept.add(of)
        except (OSError, HTTPException):
            assert server.wait(10) == -signal.SIGKILL
        finally:
            server.kill()
            server.wait()


def test_a_killed_server_loses_nothing_it_acknowledged_to_two_people_at_a_time(make_drawn: MakeDrawn) -> None:
    build = make_drawn(200)
    people = [Person(build, "ada", "yes"), Person(build, "ben", "no")]
    for number in range(ROUNDS):
        seats = [threading.Thread(target=one.sit_down, args=(10 + 7 * number,)) for one in people]
        for seat in seats:
            seat.start()
        for seat in seats:
            seat.join()
        said = read_answers(build.work)
        for one in people:
            assert one.kept
            assert set(said[one.who]) >= one.kept
            assert set(said[one.who].values()) == {one.answer}
            # At most the one that was under way is there without having been acknowledged.
            assert len(set(said[one.who]) - one.kept) <= number + 1


def test_wherever_a_line_was_cut_all_before_it_is_there(make_drawn: MakeDrawn) -> None:
    build = make_drawn(3)
    given = [one for edit in build.edits for one in asked_of(edit)][:3]
    with open_answers(build.work, "ada") as answers:
        for one in given:
            answers.give(one, "yes")
    path = folder_of(build.work) / "ada.jsonl"
    whole = path.read_bytes()
    ends = [place + 1 for place, letter in enumerate(whole) if letter == 10]
    for cut in range(0, len(whole) + 1, 5):
        os.truncate(path, 0)
        path.write_bytes(whole[:cut])
        with open_answers(build.work, "ada") as answers:
            assert len(answers.said) == sum(end <= cut for end in ends)
            answers.give(given[2], "no")
        assert read_answers(build.work)["ada"][given[2].of] == "no"
