"""How each stage does its work."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mmedit_build.recipe.fields import Count, Share, Strict
from mmedit_build.recipe.models import Local, LocalMLLM, Model, VisionModel
from mmedit_build.rows import Split


class Sizes(Strict):
    """How many edits each split gets at most."""

    train: Count
    """Edits to train editors on."""
    test: Count
    """Edits to judge editors on."""


class MineVqa(Strict):
    """Which answers are failures."""

    sizes: Sizes
    """How many edits to take, balanced over the types of question."""
    mode: Literal["official", "evalai"] = "official"
    """The variant of VQA accuracy that decides; the other is stored too."""
    most_accuracy: Share = 0.0
    """The highest accuracy that still is a failure."""
    least_agreement: Share = 0.5
    """The share of annotators who must have given the target."""
    keep_contained: bool = False
    """Keep answers that contain the target or are contained in it, such as "a kite" for "kite"."""
    keep_wrong_type: bool = False
    """Keep answers that do not answer the question asked, such as "no" to "how deep"."""
    answer_tokens: Count = 10
    """The longest answer in tokens; the default is that of BLIP-2 on VQAv2."""


class MineCaption(Strict):
    """Which captions are failures."""

    sizes: Sizes
    """How many edits to take."""
    prompt: str = "a photo of"
    """What is put before the caption to ask for it; MMEdit's own by default."""
    answer_tokens: Count = 30
    """The longest caption in tokens."""


class MineStage(Strict):
    """Finds what the base model gets wrong."""

    vqa: MineVqa | None = None
    """Left out, no questions are mined."""
    caption: MineCaption | None = None
    """Left out, no captions are mined."""
    confirm: bool = True
    """Ask for each failure again, alone, and keep it only if the answer still fails."""
    confirm_by: LocalMLLM | None = None
    """Who is asked then: a base model that is served may be confirmed by the same weights in this process, in
    the precision that they are edited and judged in. Left out, the base model itself."""
    spare: float = Field(default=0.25, ge=0, le=10)
    """How many edits more than the sizes go on, as a share, since later stages reject some; `attach` drops
    what is left over."""
    shard_rows: Count = 512
    """Rows that are worked on and saved together."""

    @model_validator(mode="after")
    def _somebody_confirms(self) -> MineStage:
        if self.confirm_by is not None and not self.confirm:
            raise ValueError("confirm_by says who confirms failures, and confirm: false that nobody does")
        return self


class Similarity(Strict):
    """A bound on the cosine of the embeddings of question and rephrase."""

    model: str
    """A folder or id of a sentence-transformers checkpoint."""
    revision: str | None = None
    """Commit or tag on the Hub."""
    least: Share = 0.6
    """The lowest cosine that passes."""


class AnswersAlike(Strict):
    """Whether the base model answers a rephrase as it answers the question, on images where it is right."""

    images: Count = 4
    """The most images asked about: those of which mining found the same question answered right."""
    least: Share = 0.5
    """The share that must be answered alike. Models stumble over good rephrases too: a bound far below 1
    refuses what is answered otherwise as a rule."""


def _check_sampling(candidates: int, temperature: float) -> None:
    if candidates > 1 and temperature == 0:
        raise ValueError("with temperature 0 all candidates are the same; raise it, or ask for one")


class RephraseStage(Strict):
    """Says each question in other words."""

    model: Model
    """The chat LLM."""
    prompt: str = "rephrase"
    """File of the folder prompts/."""
    candidates: Count = 3
    """Rephrases asked for per question; the most different one that passes is taken."""
    temperature: float = Field(default=1.0, ge=0)
    """Of the sampling; with several candidates it must not be 0."""
    max_tokens: Count = 64
    """The longest rephrase in tokens."""
    similarity: Similarity | None = None
    """A bound on how far embeddings may be apart; left out, it is not checked."""
    judge: Model | None = None
    """A chat LLM that says in both directions whether the meaning is the same; left out, the one that
    rephrases. Null: none is asked."""
    answers_alike: AnswersAlike | None = AnswersAlike()
    """Null: the base model is not asked."""
    shard_rows: Count = 128
    """Rows that are worked on and saved together."""

    @model_validator(mode="before")
    @classmethod
    def _judges_itself(cls, fields: object) -> object:
        """Who does not think of a judge gets one."""
        if isinstance(fields, dict) and "model" in fields:
            return {"judge": fields["model"]} | fields
        return fields

    @model_validator(mode="after")
    def _candidates_differ(self) -> RephraseStage:
        _check_sampling(self.candidates, self.temperature)
        return self


class Inversion(Strict):
    """A textual inversion: a word that the text encoder of the generator is taught."""

    repository: str
    """Folder or id on the Hub."""
    file: str
    """Name of the weights file in it."""
    token: str
    """The word; it acts where it stands in a prompt."""


class Resemblance(Strict):
    """A bound on the CLIP or SigLIP similarity of caption and generated image."""

    model: str
    """A bundled checkpoint, a folder, or an id on the Hub."""
    revision: str | None = None
    """Commit or tag on the Hub."""
    least: float = Field(ge=-1, le=1)
    """The lowest cosine that passes."""
    most_lost: float | None = Field(default=None, ge=0, le=2)
    """By how much it may be lower than that of the original, with image-to-image; left out, by any."""


class Quiz(Strict):
    """Questions about the original image whose answer is known, asked about the generated one."""

    second: VisionModel | None = None
    """A model that is asked beside the base model, each what it answers right about the original. Only this
    one can be asked the edit's own question, which the base model gets wrong."""
    questions: Count = 12
    """The most questions about one image. The edit's own comes first, then those of the sources, then what
    its captions state."""
    least: Share = 1.0
    """The share that each model must answer right again; the edit's own question always must be."""


class ImagineStage(Strict):
    """Renders each image anew."""

    model: Local
    """A Stable Diffusion checkpoint in diffusers' layout."""
    strategy: Literal["text-to-image", "image-to-image"] = "image-to-image"
    """From the caption alone, as the paper did, or from the original image and the caption."""
    strengths: tuple[Share, ...] = Field(default=(0.4, 0.5, 0.6, 0.7), min_length=1)
    """How much image-to-image changes: 0 nothing, 1 everything. Tried in this order; the first image that
    passes all checks is taken. One that stands here twice is tried with two seeds."""
    candidates: Count = 4
    """The most images that text-to-image tries per row, each from a seed of its own; likewise."""
    least_difference: float = Field(default=2.0, ge=0)
    """What image-to-image must change at least: mean distance of pixel values (of 255) from the original."""
    steps: int = Field(default=30, ge=1, le=1000)
    """Denoising steps."""
    guidance: float = Field(default=7.5, ge=0)
    """Classifier-free guidance scale."""
    scheduler: str | None = None
    """A scheduler class of diffusers, such as DPMSolverMultistepScheduler; left out, the checkpoint's own."""
    positive: str = "{caption}"
    """The prompt; {caption} is the image's caption."""
    negative: str | None = None
    """The negative prompt."""
    inversions: tuple[Inversion, ...] = ()
    """Textual inversions to load; each must fit the text encoder."""
    height: Count | None = None
    """Of the images in pixels; left out, the checkpoint's own."""
    width: Count | None = None
    """Of the images in pixels; left out, the checkpoint's own."""
    resemblance: Resemblance | None = None
    """Left out, similarity is not checked."""
    quiz: Quiz | None = Quiz()
    """Null: no questions are asked."""
    shard_rows: Count = 32
    """Rows that are worked on and saved together."""

    @property
    def tries(self) -> int:
        """The most images painted for one row."""
        return len(self.strengths) if self.strategy == "image-to-image" else self.candidates


class ExtendStage(Strict):
    """Gives edits questions whose answers follow from them by common knowledge."""

    model: Model
    """The chat LLM that proposes them."""
    prompt: str = "extend"
    """File of the folder prompts/."""
    splits: tuple[Split, ...] = ("test",)
    """Whose edits get them; nothing is learned from them."""
    candidates: Count = 4
    """Proposals asked for per edit; all that pass are taken, one for each answer."""
    temperature: float = Field(default=1.0, ge=0)
    """Of the sampling; with several candidates it must not be 0."""
    max_tokens: Count = 128
    """The longest proposal in tokens."""
    answer_tokens: Count = 16
    """The longest answer of the base model in tokens."""
    least_confidence: float = Field(default=0.25, ge=0, le=1)
    """How sure the base model must be of the answer in words, by the mean probability of its tokens: what it
    is less sure of it guesses. One that tells no probabilities is believed."""
    shard_rows: Count = 128
    """Rows that are worked on and saved together."""

    @model_validator(mode="after")
    def _candidates_differ(self) -> ExtendStage:
        _check_sampling(self.candidates, self.temperature)
        return self


class License(Strict):
    """Under which terms a part of the dataset may be used."""

    part: str
    """Columns or configurations it is about."""
    terms: str
    """Name of the licence, or what is known of it."""


class Review(Strict):
    """What becomes of rows that people refused with `mmedit-build review`."""

    refused_by: Literal["any", "majority", "all"] = "majority"
    """When an edit or a locality item is refused: one person says no; more say no than yes, so that a tie
    refuses nothing; or somebody says no and nobody yes. Who cannot tell is not counted."""
    then: Literal["drop", "mark"] = "drop"
    """What is refused is left out of the dataset, or stays in it and is marked in the column `review`."""


class PublishStage(Strict):
    """Writes the dataset."""

    title: str
    """Headline of the card."""
    repository: str | None = None
    """user/name on the Hub; left out, the dataset is only written to the work folder."""
    private: bool = True
    """Whether a repository that is created is private."""
    tag: str | None = None
    """Tag of the published commit, such as v1.0."""
    embed_source_images: bool = True
    """False: original images are named by id only, for sources whose images may not be passed on."""
    # Not written where it is as usual: manifests of builds that nobody reviewed stay as they were.
    review: Review | None = Field(default=Review(), exclude_if=lambda held: held == Review())
    """How answers of reviewers count, once there are any. Null: they do not."""
    license: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9.-]*$")
    """Of all of it, as the Hub calls it, such as cc-by-4.0; left out where parts come under others."""
    licenses: tuple[License, ...] = ()
    """Shown on the card."""
    baselines: str | None = None
    """The `tables.md` that mmedit-eval wrote of methods on this dataset: its main tables go on the card."""
    eval_yaml: bool = False
    """Whether `eval.yaml` is written, which makes the dataset a benchmark on the Hub: one of models without
    edits. The Hub takes it from those alone whom it has on its list."""
