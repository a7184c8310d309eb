"""What a card tells of people who judged rows."""

from __future__ import annotations

from mmedit_build.publishing.markdown import table
from mmedit_build.recipe import Review
from mmedit_build.review.asked import QUESTIONS
from mmedit_build.review.figures import Figures
from mmedit_build.review.telling import AGREEMENT, ERRORS, agreement_lines, error_lines, meaning, rule_text

NOT_REVIEWED = "No row of this dataset was judged by people."


def reviewed_text(figures: Figures) -> str:
    """Who judged how many rows, what was refused, and how far people agree."""
    people = "One person" if figures.people == 1 else f"{figures.people} people"
    parts = [
        f"{people} judged {figures.rows:,} rows as built, one by one, not knowing what others said. "
        f"{rule_text(figures.rule)} {_what_became(figures.rule)}",
        "\n".join(f"- {name}: {meaning(name)}." for name in QUESTIONS),
    ]
    if figures.errors:
        lots = "Errors in rows that were drawn by lot, with 95% intervals (Wilson):"
        parts += [lots, table(ERRORS, error_lines(figures))]
    if figures.agreement:
        agree = "Agreement, wherever two or more judged the same, with 95% intervals (bootstrap over rows):"
        parts += [agree, table(AGREEMENT, agreement_lines(figures))]
    return "\n\n".join(parts)


def _what_became(rule: Review) -> str:
    if rule.then == "mark":
        return "What was refused is in the tables, marked in the column `review`."
    return (
        "What was refused is not in the tables. The errors below are those before that; among rows that "
        "nobody judged there are as many still."
    )
