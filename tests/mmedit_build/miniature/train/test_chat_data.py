"""What the chat model learns from: never a question that is held out, and replies that mean the same."""

from __future__ import annotations

import random
from dataclasses import replace

from mmedit_build.miniature.grammar import FORMS, Meaning, all_meanings, changed_words, parse, same, say
from mmedit_build.miniature.train.chat import build_tokenizer, expectation, judgment, rephrasings, row
from mmedit_build.miniature.train.judging import HARD, judged
from mmedit_build.miniature.train.learned import held_out, learned_meanings
from mmedit_build.prompts import chat_messages


def test_held_out_questions_are_not_learned() -> None:
    learned = learned_meanings()
    assert set(learned) == set(FORMS)
    assert not any(held_out(meaning) for meanings in learned.values() for meaning in meanings)
    number = sum(held_out(meaning) for meaning in all_meanings())
    assert 0.05 < number / len(list(all_meanings())) < 0.15


def test_rephrasings_mean_the_same_in_other_words() -> None:
    rng = random.Random(2)
    for meaning in rng.sample(list(all_meanings()), 200):
        question = rng.choice(say(meaning))
        for other in rephrasings(question, meaning):
            assert parse(other) == meaning
            assert changed_words(question, other) > 1


def test_only_the_reply_is_learned() -> None:
    tokenizer = build_tokenizer()
    meaning = next(iter(all_meanings()))
    ids, labels = row(meaning, random.Random(0), tokenizer)
    learned = [label for label in labels if label != -100]
    assert ids[-len(learned) :] == learned
    assert learned[-1] == tokenizer.eos_token_id
    assert parse(str(tokenizer.decode(learned[:-1]))) == meaning


def test_our_own_prompt_is_a_system_and_a_user_message() -> None:
    system, user = chat_messages("rephrase", question="Is there a cat?")
    assert system["role"] == "system"
    assert user["content"].endswith("Question: Is there a cat?")


def test_pairs_to_judge_are_right_in_both_ways_and_never_held_out() -> None:
    rng = random.Random(3)
    learned = learned_meanings()
    said = set()
    for form in (*FORMS, *HARD) * 20:
        meaning = rng.choice(learned[form])
        question, other, asks_same = judged(meaning, rng)
        parsed = [parse(text) for text in (question, other)]
        assert same(*parsed) == asks_same
        assert question != other
        assert not any(one and held_out(one) for one in parsed)
        said.add(asks_same)
    assert said == {True, False}


def test_what_is_symmetric_asks_for_the_same_when_turned_and_what_is_not_does_not() -> None:
    more = Meaning("more", x="cat", y="cup")
    bigger = replace(more, form="bigger")
    assert same(bigger, replace(bigger, x=bigger.y, y=bigger.x))
    assert not same(more, replace(more, x=more.y, y=more.x))
    assert not same(None, None)


def test_judgments_are_learned_by_our_own_prompt() -> None:
    tokenizer = build_tokenizer()
    meaning = next(meaning for meaning in all_meanings() if meaning.form == "left of")
    ids, labels = judgment(meaning, random.Random(0), tokenizer)
    assert "exactly the same thing" in str(tokenizer.decode(ids))
    learned = [label for label in labels if label != -100]
    assert tokenizer.decode(learned[:-1]) in {"yes", "no"}
    ids, labels = expectation(meaning, random.Random(0), tokenizer)
    assert parse(str(tokenizer.decode([label for label in labels if label != -100])).strip()) == meaning
