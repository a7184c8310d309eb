from __future__ import annotations

from mmedit_build.meter import Meter


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_line_comes_every_so_often() -> None:
    told, clock = list[str](), Clock()
    meter = Meter("vqa: ft", 100, told.append, clock)
    meter.begin()
    meter.advance(40)
    for _ in range(40):
        clock.now += 1.0
        meter.advance(1, "some skipped")
    clock.now += 20.0
    meter.advance(20)
    meter.end()
    assert told == [
        "vqa: ft: 0 of 100",
        # What was known at once does not count as fast.
        "vqa: ft: 70 of 100, 1.0/s, 0:00:30 left, some skipped",
        # At the end one line is enough.
        "vqa: ft: 100 of 100 in 0:01:00, 1.0/s",
    ]


def test_slow_work_is_told_by_the_minute() -> None:
    told, clock = list[str](), Clock()
    meter = Meter("imagine", 10, told.append, clock)
    meter.advance(0)
    clock.now += 40.0
    meter.advance(1)
    assert told == ["imagine: 1 of 10, 1.5 a minute, 0:06:00 left"]


def test_without_a_total_there_is_nothing_left_to_tell() -> None:
    told, clock = list[str](), Clock()
    meter = Meter("reading", None, told.append, clock)
    meter.begin()
    meter.advance(1)
    clock.now += 60.0
    meter.advance(120)
    meter.end()
    assert told == ["reading", "reading: 121, 2.0/s", "reading: 121 in 0:01:00, 2.0/s"]


def test_work_that_never_advanced_has_no_rate() -> None:
    told, clock = list[str](), Clock()
    meter = Meter("reading", 5, told.append, clock)
    clock.now += 1.0
    meter.end()
    assert told == ["reading: 0 of 5 in 0:00:01"]


def test_work_of_which_nothing_is_counted_tells_its_time() -> None:
    told, clock = list[str](), Clock()
    meter = Meter("drawing", None, told.append, clock)
    meter.begin()
    clock.now += 9.0
    meter.end()
    assert told == ["drawing", "drawing in 0:00:09"]
