"""What can be evaluated: methods with their options, models, and what the scores mean."""

from __future__ import annotations

import inspect
import json

from rich.table import Table
from rich.text import Text

from editors import EDITORS, editor_class
from editors.base import Learner
from evaluation.experiment import SANITY, UNEDITED, Experiment
from evaluation.metrics import METRICS
from evaluation.suited import bundled
from mmedit_build.mllm import FAMILIES


def tables() -> list[Table]:
    """Methods, their options, models and scores."""
    return [_methods(), _options(), _models(), _scores()]


def _methods() -> Table:
    table = Table("method", "what it does", "learns first", title="Methods")
    for name in EDITORS:
        found = editor_class(name)
        about = (inspect.getdoc(found) or "").partition("\n")[0]
        note = " Tests the evaluation; not part of `all`." if name in SANITY else ""
        table.add_row(name, Text(about + note), "yes" if issubclass(found, Learner) else "no")
    table.add_row(UNEDITED, "The model as it is; always judged along with the others.", "no")
    return table


def _options() -> Table:
    table = Table("method", "option", "default", "meaning", title="Options, for an experiment file")
    for name in EDITORS:
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
