"""What captions say, read and compared."""

from mmedit_build.scoring.statements.comparing import Findings, compare
from mmedit_build.scoring.statements.reading import read
from mmedit_build.scoring.statements.things import Said

__all__ = ["Findings", "Said", "compare", "read"]
