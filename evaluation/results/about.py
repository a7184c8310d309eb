"""What is known of a method besides its scores."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from editors.areas import joined


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Facts that a report gives without the model."""

    family: str
    batch: bool
    """Whether it makes several edits at once."""
    learned: int | None = None
    """How many numbers it keeps of what it learned; None if it does not learn."""
    preserves: bool = True
    """Whether the parameters of the model stay as they are where any of its patches acts."""
    leaks: bool = False
    """Whether it is a published variant that is shown the answers that are scored."""
    whole: bool = False
    """Whether one patch makes all edits that are judged, whatever number at once is asked for."""
    area: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """What its patches touch, and in which decoder layers; see `editors.areas`."""

    def with_what_was_known(self, earlier: About | None) -> About:
        """This, with what other patches of the method showed."""
        if earlier is None:
            return self
        area = dict(joined([earlier.area, self.area]))
        return replace(self, preserves=self.preserves and earlier.preserves, area=area)
