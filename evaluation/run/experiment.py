"""An experiment: which methods are judged on what, and how. Its defaults are those of the commands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from editors import LISTING, editor_class, known_editors, own_class, own_hint
from evaluation.data.cases import Prompts
from evaluation.data.miniature import DATASET
from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS
from evaluation.results.presets import PRESETS, PresetName
from mmedit_build.errors import UserError, check_name, shortened
from mmedit_build.places import named, place
from mmedit_build.recipe import Endpoint, Model
from mmedit_build.recipe.fields import CHECKPOINT, RAW, Count, Dtype, Name, Strict
from mmedit_build.rows import Split, Task
from mmedit_build.strict_yaml import read_file

if TYPE_CHECKING:
    from editors.base import Editor

SANITY = ("oracle",)
"""Editors that test the evaluation; `all` does not mean them."""
Part = Literal["vision", "connector", "language"]
PARTS: tuple[Part, ...] = get_args(Part)
UNEDITED = "unedited"
"""How results name the model without any edit."""
ALL = "all"
"""Stands for every method in the lists that commands take."""
OWN = ":"
"""Stands in the places of editors that are the user's own, and in no name."""


def _named(given: object) -> object:
    return named(given) if isinstance(given, str) else given


def _placed(given: object) -> object:
    return place(given) if isinstance(given, str) else given


def _served(given: object) -> object:
    """The section of a served model that is written as MODEL@ADDRESS, or MODEL alone for OpenAI's."""
    if not isinstance(given, str):
        return given
    model, _, rest = given.rpartition("@http") if "@http" in given else (given, "", "")
    if not model or "://" in model:
        raise ValueError("name the model before the address, as in qwen3@http://localhost:8000/v1")
    return {"kind": "endpoint", "model": model, **({"base_url": f"http{rest}"} if rest else {})}


def _named_or_served(given: object) -> object:
    return _served(given) if isinstance(given, str) and "@http" in given else _named(given)


Place = Annotated[Path, BeforeValidator(_placed)]
Named = Annotated[str, BeforeValidator(_named)]
Judged = Annotated[
    Annotated[str, Tag("name")] | Annotated[Endpoint, Tag("endpoint")],
    Discriminator(lambda given: "name" if isinstance(given, str) else "endpoint"),
    BeforeValidator(_named_or_served),
]


class Method(Strict):
    """An editor with options of its own."""

    editor: str | None = None
    """The editor's name; by default that of the method."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Fields of the editor's configuration that differ from its defaults."""

    def editor_class(self, name: str) -> type[Editor]:
        """The class of the editor, for a method of this name."""
        return editor_class(self.editor or name)


class OwnMethod(Method):
    """An editor of the user's, who says where it is in the command; no file can."""

    place: str

    def editor_class(self, name: str) -> type[Editor]:  # noqa: ARG002  # the place says it
        return own_class(self.place)


class Experiment(Strict):
    """All that results depend on, and where they go."""

    methods: dict[Name, Method] = Field(default_factory=dict)
    """By the names that results have."""
    model: Judged = "miniature/mllm"
    """A bundled checkpoint, a folder, or an id on the Hub; or a served model, for methods that only touch
    prompts: MODEL@ADDRESS, or a section as recipes have it."""
    revision: Named | None = None
    """Commit, tag or branch of the model on the Hub."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N, mps, or all: every GPU together, for a model that is too large for one."""
    dtype: Dtype = "auto"
    """Precision of the weights; auto is bfloat16 on CUDA and float32 elsewhere."""
    template: str | None = None
    """What stands around a question: `checkpoint` is the checkpoint's chat template, `plain` the image with
    the question after it, `raw` what published code has; or a text with {image} and {prompt}. Left out,
    `checkpoint`, or with `prompts: raw`, which takes no other, `raw`."""
    image_processor: dict[str, Any] = Field(default_factory=dict)
    """Settings of the image processor in the place of the checkpoint's, such as `size`."""
    dataset: Named = str(DATASET)
    """A published dataset, a work folder, released JSON, or an id on the Hub with or without an @revision."""
    images: Place | None = None
    """Folder of the images, for datasets that only name them."""
    task: Task | None = None
    """Left out, all tasks that the dataset has."""
    split: Split = "test"
    """Edits that are judged; editors learn from the train split only."""
    protocols: tuple[ProtocolName, ...] = tuple(PROTOCOLS)
    """How answers are scored."""
    prompts: Prompts = "family"
    """`family` asks as the model is meant to be asked, `raw` as MMEdit's released code does."""
    limit: Count | None = None
    """Only the first so many edits of each task."""
    out: Place = Path("runs/eval")
    """Folder of the results."""
    cache: Place = Path("runs/cache")
    """Folder of what the unedited model answered and of what editors learned."""
    at_once: tuple[Count, ...] = Field(default=(1,), min_length=1)
    """How many edits one patch makes, as a list or a comma list: a run of each method for each number."""
    stream: tuple[Count, ...] | PresetName = ()
    """After how many edits, one after the other, it is looked at what is left, as a list or a comma list; or
    the name of a preset, to make a stream as a publication did. Left out, each edit is taken off again."""
    orders: Count = 3
    """In how many orders a stream is made."""
    conflicts: bool = False
    """Whether edits of a stream may ask the same about the same image; the later one then counts."""
    parts: tuple[Part, ...] = ()
    """Parts of the model, as a list or a comma list: a run of each method that can be told which part to edit
    for each of them. Left out, methods edit what their options say."""
    seed: int = 0
    """Of whatever editors draw, when they learn too, but for those whose options name a seed of their own."""
    seeds: tuple[int, ...] = ()
    """Several of them, as a list or a comma list: all is run with each, in a folder of its own in `out`, and
    reports take the runs together."""
    batch_size: Count = 32
    """Queries that go through the model at a time."""
    judge: Annotated[Model, BeforeValidator(_served)] | None = None
    """A language model that judges free answers, besides the match with the target: a section as recipes have
    them, or MODEL@ADDRESS. Results do not depend on it."""
    holdout: float = Field(default=0.1, gt=0, lt=1)
    """The share of the train split's images that learning editors are validated on."""

    @property
    def rendering(self) -> str:
        """The template that is used."""
        return self.template or (RAW if self.prompts == "raw" else CHECKPOINT)

    def of_each_seed(self) -> list[Experiment]:
        """An experiment for each of the seeds, or this one."""
        return [
            self.model_copy(update={"seed": seed, "seeds": (), "out": self.out / f"seed-{seed}"})
            for seed in self.seeds
        ] or [self]

    @model_validator(mode="after")
    def _seed_or_seeds(self) -> Experiment:
        if self.seeds and "seed" in self.model_fields_set:
            raise UserError("Give --seed for one seed, or --seeds for several, but not both.")
        return self

    @model_validator(mode="after")
    def _raw_is_raw(self) -> Experiment:
        if self.prompts == "raw" and self.rendering != RAW:
            raise UserError(
                f"With raw prompts nothing but the template {RAW} goes; leave out the template "
                f"{shortened(repr(self.template))}, or ask with family prompts."
            )
        return self

    @field_validator("methods")
    @classmethod
    def _own_names(cls, given: dict[str, Method]) -> dict[str, Method]:
        for name in (UNEDITED, ALL):
            if name in given:
                raise ValueError(f"{name} cannot be the name of a method, as it has a meaning of its own")
        return given

    @field_validator("parts", mode="before")
    @classmethod
    def _names(cls, given: object) -> object:
        return list(dict.fromkeys(map(str.strip, given.split(",")))) if isinstance(given, str) else given

    @model_validator(mode="after")
    def _one_way(self) -> Experiment:
        if self.stream and self.at_once != (1,):
            raise UserError("A stream makes one edit after the other; leave out --at-once, or --stream.")
        return self

    @model_validator(mode="after")
    def _one_order(self) -> Experiment:
        if isinstance(self.stream, str) and "orders" in self.model_fields_set:
            raise UserError(
                f"The stream {self.stream} has the order of the dataset, as its paper; leave out --orders."
            )
        return self

    @field_validator("stream", mode="before")
    @classmethod
    def _numbers_or_name(cls, given: object) -> object:
        if isinstance(given, str) and given[:1].isalpha():
            check_name("stream", given, PRESETS)
            return given
        return _numbers(given)

    @field_validator("at_once", "seeds", mode="before")
    @classmethod
    def _all_numbers(cls, given: object) -> object:
        return _numbers(given)

    @field_validator("seeds")
    @classmethod
    def _each_once(cls, given: tuple[int, ...]) -> tuple[int, ...]:
        for seed in given:
            if given.count(seed) > 1:
                raise ValueError(f"{seed} is named twice, and would be run once; name as many others")
        return given


def _numbers(given: object) -> object:
    if not isinstance(given, str):
        return (given,) if isinstance(given, int) else given
    return [_number(part) for part in given.split(",")]


def _number(part: str) -> int:
    """What validation would call the second number of a list, people know by what they wrote."""
    try:
        return int(part)
    except ValueError as error:
        raise ValueError(f"{shortened(repr(part))} is no whole number; give a comma list of them") from error


def make_experiment(file: Path | None, changes: Mapping[str, Any]) -> Experiment:
    """The experiment of a YAML file, or the default one, with some fields changed (None changes nothing)."""
    content = {} if file is None else _parsed(file)
    changes = {name: value for name, value in changes.items() if value is not None}
    content |= changes
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        raise UserError(_mistake(file, changes, error.errors()[0])) from error


def _mistake(file: Path | None, changes: Mapping[str, Any], error: ErrorDetails) -> str:
    """What is wrong in a sentence; a UserError of its own for words that are near to known ones."""
    steps = [str(step) for step in error["loc"]]
    # Which member of a union was tried is nothing that users wrote.
    named_by_user = [step for step in steps if not step.startswith(("tuple[", "literal["))]
    changed = steps[0] in changes if steps else False
    if changed and isinstance(changes[steps[0]], str):
        # A comma list is a text for who wrote it, whose parts have no numbers.
        named_by_user = steps[:1]
    place, given = shortened(".".join(named_by_user)), shortened(str(error["input"]))
    where = "The command" if changed or file is None else file
    if error["type"] == "extra_forbidden" and len(steps) == 1:
        check_name("key of an experiment", place, Experiment.model_fields)
    if place == "task":
        check_name("task", given, ("vqa", "caption"))
    if place.startswith("protocols"):
        check_name("protocol", given, PROTOCOLS)
    if place.startswith("parts"):
        check_name("part of a model", given, PARTS)
    if len(steps) == 3 and steps[::2] == ["methods", "[key]"]:
        return (
            f"{where} calls a method {given!r}; give it a name of letters, digits, '.', '_' and '-', at most "
            "60 of them, that begins with a letter or a digit."
        )
    return f"{where} gives {place} a wrong value: {error['msg'].removeprefix('Value error, ')}."


def choose(names: str, known: Mapping[str, Method]) -> dict[str, Method]:
    """The methods of a comma list; `all` stands for every one that does not test the evaluation itself.

    One of the user's own is there by its place, `package.module:Class`; results have dots in its name.
    """
    everything = {**{name: Method() for name in known_editors() if name not in SANITY}, **known}
    valid = {**everything, **{name: Method() for name in SANITY}}
    chosen: dict[str, Method] = {}
    for name in (name.strip() for name in names.split(",") if name.strip()):
        if name == ALL:
            chosen |= everything
        elif OWN in name:
            chosen[name.replace(OWN, ".")] = OwnMethod(place=name)
        else:
            if name not in valid and (hint := own_hint(name)):
                raise UserError(hint)
            check_name("method", name, [*valid, ALL], LISTING)
            chosen[name] = valid[name]
    return chosen


def _parsed(file: Path) -> dict[str, Any]:
    content = read_file(file, f"the experiment {file}")
    if not isinstance(content, dict):
        raise UserError(
            f"The experiment {file} is not a YAML mapping; give fields such as model and methods."
        )
    return content
