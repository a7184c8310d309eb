"""What can be evaluated: methods with their options, models, and what the scores mean."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence

from rich.table import Column, Table
from rich.text import Text

from editors import EDITORS, editor_class
from editors.base import Learner
from editors.families import METHOD_FAMILIES, MethodFamily
from evaluation.dataset import check_name
from evaluation.experiment import SANITY, UNEDITED, Experiment
from evaluation.metrics import METRICS
from evaluation.suited import bundled
from mmedit_build.mllm import FAMILIES


def tables(method: str | None = None) -> list[Table]:
    """Methods, their options, models and scores; or the options of one method alone."""
    if method is not None:
        check_name("method", method, EDITORS)
        return [_options([method])]
    names = [name for names in by_family().values() for name in names]
    return [_methods(), _options(names), _models(), _scores()]


def _methods() -> Table:
    table = Table(Column("method", no_wrap=True), "what it does", "learns", "batch", title="Methods")
    for family, names in by_family().items():
        table.add_row(Text(family, "bold"))
        for number, name in enumerate(names):
            found = editor_class(name)
            about = (inspect.getdoc(found) or "").partition("\n")[0]
            note = " Tests the evaluation; not part of `all`." if name in SANITY else ""
            facts = ("yes" if one else "no" for one in (issubclass(found, Learner), found.batch))
            table.add_row(f"  {name}", Text(about + note), *facts, end_section=number == len(names) - 1)
    table.add_row(UNEDITED, "The model as it is; always judged along with the others.", "no", "")
    table.caption = "learns: from the train split, first; batch: several edits by one patch (--at-once)"
    return table


def by_family() -> dict[MethodFamily, list[str]]:
    """The editors of each family, in the order of families."""
    families = {name: editor_class(name).family for name in EDITORS}
    return {
        family: [name for name, of in families.items() if of == family]
        for family in METHOD_FAMILIES
        if family in families.values()
    }


def _options(names: Sequence[str]) -> Table:
    table = Table("method", "option", "default", "meaning", title="Options, for an experiment file")
    for name in names:
        fields = editor_class(name).Config.model_fields
        for number, (option, field) in enumerate(fields.items()):
            default = json.dumps(field.get_default(call_default_factory=True), default=str)
            meaning = Text(" ".join((field.description or "").split()))
            table.add_row(
                "" if number else name, option, Text(default), meaning, end_section=number == len(fields) - 1
            )
    return table


def _models() -> Table:
    experiments = bundled()
    table = Table("model", "where from", "options of its methods", title="Models")
    default = Experiment().model
    own = {experiment.model: name for name, experiment in experiments.items()}
    table.add_row(default, "bundled; the default", _options_file(own.get(default)))
    for kind in FAMILIES:
        where = "a folder written by save_pretrained, or an id on the Hub"
        table.add_row(f"any of type {kind}", where, _options_file(kind if kind in experiments else None))
    return table


def _options_file(name: str | None) -> str:
    return "their defaults" if name is None else f"recipes/experiments/{name}.yaml"


def _scores() -> Table:
    table = Table("protocol", "score", "meaning", title="Scores")
    for protocol, metrics in METRICS.items():
        for number, metric in enumerate(metrics.values()):
            table.add_row("" if number else protocol, metric.title, metric.about)
    return table
