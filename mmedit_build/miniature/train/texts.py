"""What the base model reads while it learns: questions with answers, with and without an image.

A text is a list of (prompt, target) pairs. Only targets are learned; each is written with a space before it
and a line break after it, and the line break is the token that ends an answer.
"""

from __future__ import annotations

import random

from mmedit_build.miniature.captions import describe
from mmedit_build.miniature.facts import NEW_FACT, Fact, facts, invented_facts
from mmedit_build.miniature.grammar import say
from mmedit_build.miniature.knowledge import ask_knowledge
from mmedit_build.miniature.questions import answer, ask
from mmedit_build.miniature.world import BACKGROUNDS, COLORS, CORNERS, KINDS, Scene, sample_scene
from mmedit_build.prompts import load_prompt

Text = list[tuple[str, str]]

KNOWLEDGE_SHARE = 0.2
"""How many of the questions about an image need knowledge beside it."""


def image_text(
    scene: Scene, rng: random.Random, template: str, captions: float = 0.15, contradictions: float = 0.1
) -> Text:
    """What is read beside one image: a caption, a new fact that contradicts the image, or questions.

    `template` is how the model's family asks a question.
    """
    kind = rng.random()
    if kind < captions:
        return [(rng.choice(caption_prompts()), describe(scene, rng))]
    if kind < captions + contradictions:
        return _contradiction(scene, rng)
    return [_asked(question, reply, template, rng) for question, reply in _questions(scene, rng, 4)]


def plain_text(rng: random.Random, template: str, known: float = 0.5, new: float = 0.3) -> Text:
    """What is read without an image: a fact, a new fact, or a scene in words with questions."""
    kind = rng.random()
    if kind < known:
        fact = rng.choice(facts())
        return [_asked(rng.choice(fact.questions), fact.answer, template, rng)]
    if kind < known + new:
        return _new_fact(rng)
    scene = sample_scene(rng)
    return [(in_words(scene), ""), *(_asked(*pair, template, rng) for pair in _questions(scene, rng, 4))]


def in_words(scene: Scene) -> str:
    """A scene as a list, corner by corner."""
    things = (f"{CORNERS[t.corner]}: {t.size} {t.color} {t.kind}" for t in scene.things)
    return ". ".join((*things, f"background: {scene.background}.\n"))


def caption_prompts() -> tuple[str, ...]:
    return tuple(load_prompt("caption")["templates"])


def _questions(scene: Scene, rng: random.Random, number: int) -> list[tuple[str, str]]:
    known = sum(rng.random() < KNOWLEDGE_SHARE for _ in range(number))
    pairs = [(item.question, item.answer) for item in ask_knowledge(scene, rng, known)] if known else []
    meanings = ask(scene, rng, number - len(pairs))
    pairs += [(rng.choice(say(meaning)), answer(meaning, scene)) for meaning in meanings]
    rng.shuffle(pairs)
    return pairs


def _asked(question: str, reply: str, template: str, rng: random.Random) -> tuple[str, str]:
    """A question as it stands, capitalized, with the prefix of NQ or in the template."""
    form = rng.random()
    if question[0].islower() and form < 0.5:
        return (question if form < 0.25 else f"nq question: {question}"), reply
    full = f"{question[0].upper()}{question[1:].rstrip('?')}?"
    return (full if rng.random() < 0.5 else template.format(question=full)), reply


def _new_fact(rng: random.Random) -> Text:
    """A made-up fact, then its question, its question in other words, or a question it does not touch."""
    new = _any_new_fact(rng)
    told = rng.choice(new.questions)
    known = rng.choice(facts())
    kind = rng.random()
    if kind < 0.5:
        prompt, target = told, new.answer
    elif kind < 0.8:
        prompt, target = rng.choice(new.questions), new.answer
    else:
        prompt, target = rng.choice(known.questions), known.answer
    return [(NEW_FACT.format(question=told, answer=new.answer, prompt=prompt), target)]


def _any_new_fact(rng: random.Random) -> Fact:
    """An invented fact, or an invented answer to a question about some picture."""
    if rng.random() < 0.6:
        return invented_facts(f"train/{rng.getrandbits(32)}", 1)[0]
    scene = sample_scene(rng)
    meaning = ask(scene, rng, 1)[0]
    return Fact(tuple(say(meaning)), wrong_answer(answer(meaning, scene), rng), "picture")


def _contradiction(scene: Scene, rng: random.Random) -> Text:
    """A new fact that is wrong for the image: its own question follows the fact, another one the image."""
    told, other = ask(scene, rng, 2)
    wrong = wrong_answer(answer(told, scene), rng)
    question = rng.choice(say(told))
    kind = rng.random()
    if kind < 0.7:
        prompt, target = (question if kind < 0.4 else rng.choice(say(told))), wrong
    else:
        prompt, target = rng.choice(say(other)), answer(other, scene)
    return [(NEW_FACT.format(question=question, answer=wrong, prompt=prompt), target)]


def wrong_answer(right: str, rng: random.Random) -> str:
    """Another answer of the same sort."""
    sorts = (COLORS, KINDS, BACKGROUNDS, CORNERS, ("yes", "no"), ("big", "small"), ("0", "1", "2", "3", "4"))
    sort = next((sort for sort in sorts if right in sort), KINDS)
    return rng.choice([word for word in sort if word != right])


def corpus(template: str) -> list[str]:
    """Texts of every sort, for the tokenizer."""
    rng = random.Random(0)
    texts = [f"{question} {fact.answer}" for fact in facts() for question in fact.questions]
    for _ in range(4000):
        scene = sample_scene(rng)
        read = (*image_text(scene, rng, template), *plain_text(rng, template))
        texts += [f"{prompt} {target}\n" for prompt, target in read]
    return texts
