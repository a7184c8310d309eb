"""One person's way through the rows: what a page shows of each, and where to go on."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from typing import Any

import PIL.Image

from mmedit_build.errors import UserError
from mmedit_build.image_files import UNREADABLE, open_encoded, read_image
from mmedit_build.review.answers import Answer, Answers
from mmedit_build.review.asked import QUESTIONS, Asked, asked_of
from mmedit_build.rows import EditRow, ReviewQuestion
from mmedit_build.work import Work

BROWSERS = ("JPEG", "PNG", "WEBP", "GIF")
"""Formats of images that every browser shows."""
Json = dict[str, Any]


class Session:
    """Rows in the order in which they are shown, and the answers of one person."""

    def __init__(
        self,
        who: str,
        rows: Sequence[EditRow],
        answers: Answers,
        work: Work,
        questions: Collection[ReviewQuestion] = QUESTIONS,
    ) -> None:
        self.who = who
        self._rows, self._answers, self._work = rows, answers, work
        self._asked = [asked_of(row, questions) for row in rows]
        # What stands in several rows is asked about once, in the first of them.
        self._places = {
            one.of: (place, number, one)
            for place, asked in reversed(list(enumerate(self._asked)))
            for number, one in reversed(list(enumerate(asked)))
        }

    def state(self) -> Json:
        """How far it is, and the first row of which something is open; None if there is none."""
        said = self._answers.said
        open_ = [place for place, asked in enumerate(self._asked) if any(one.of not in said for one in asked)]
        return {
            "who": self.who,
            "rows": len(self._rows),
            "judged": len(self._rows) - len(open_),
            "next": open_[0] if open_ else None,
        }

    def row(self, place: int) -> Json:
        """A row with what is asked about it and what was said; a LookupError if there is none."""
        row = self._row(place)
        return {
            "place": place,
            "id": row.id,
            "task": row.task,
            "question": row.question,
            "target": row.target,
            "prediction": row.prediction,
            "rephrase": row.rephrase.text if row.rephrase else None,
            "asked": [self._shown(place, number, one) for number, one in enumerate(self._asked[place])],
        }

    def give(self, of: str, answer: Answer) -> Json:
        """Keep an answer; how far it is then."""
        if of not in self._places:
            raise UserError("This server shows other rows by now; load the page again.")
        self._answers.give(self._places[of][2], answer)
        return self.state()

    def undo(self) -> Json:
        """Take back the last answer, and tell where it is, if it is about one of these rows."""
        line = self._answers.undo()
        place, number, _ = self._places.get(line.of, (None, None, None)) if line else (None, None, None)
        return {**self.state(), "undone": line is not None, "place": place, "number": number}

    def picture(self, place: int, name: str) -> tuple[bytes, str]:
        """An encoded image of a row as browsers show them, and its type; a LookupError if there is none."""
        row = self._row(place)
        images = {"image": row.image, "painting": row.imagined.image if row.imagined else None}
        items = {f"{number}": one.item.image for number, one in enumerate(self._asked[place]) if one.item}
        image = {**images, **items}.get(name)
        if image is None:
            raise KeyError(name)
        return _encoded(self._work, image)

    def _row(self, place: int) -> EditRow:
        if place < 0:
            raise IndexError(place)
        return self._rows[place]

    def _shown(self, place: int, number: int, asked: Asked) -> Json:
        pictures = {
            "failure": ["image"],
            "rephrase": ["image"],
            "painting": ["image", "painting"],
            "locality": [f"{number}"] if asked.item and asked.item.image else [],
        }
        item = asked.item
        return {
            "of": asked.of,
            "question": asked.question,
            "answer": self._answers.said.get(asked.of),
            "item": {"question": item.question, "answer": item.answer} if item else None,
            "pictures": [f"/pictures/{place}/{name}" for name in pictures[asked.question]],
        }


def _encoded(work: Work, image: str) -> tuple[bytes, str]:
    path = work.path(image)
    try:
        data = read_image(path)
        opened = open_encoded(data)
        if opened.format in BROWSERS:
            return data, PIL.Image.MIME[opened.format]
        file = io.BytesIO()
        opened.convert("RGB").save(file, "PNG")
        return file.getvalue(), "image/png"
    except UNREADABLE as error:
        raise UserError(f"Cannot read {path} as an image; put the file back.") from error
