"""What the model of hops learns from: steps of the world, beyond questions that are not held out."""

from __future__ import annotations

import random

from mmedit_build.miniature.grammar import parse
from mmedit_build.miniature.hops import is_right
from mmedit_build.miniature.train.chat import conversation
from mmedit_build.miniature.train.hops import NONE, build_tokenizer, example
from mmedit_build.miniature.train.learned import held_out
from mmedit_build.stages.hops import read_hop


def test_steps_are_those_of_the_world_and_often_there_is_none() -> None:
    rng = random.Random(3)
    drawn = [example(rng) for _ in range(300)]
    assert 0.1 < sum(reply == NONE for _, reply in drawn) / len(drawn) < 0.5
    for messages, reply in drawn:
        asked = dict(line.split(": ", 1) for line in messages[1]["content"].splitlines()[:3])
        meaning = parse(asked["Question"])
        assert meaning is not None
        assert not held_out(meaning)
        hop = read_hop(reply)
        if reply == NONE:
            assert hop.reason == "no question proposed"
        else:
            assert is_right(asked["Question"], asked["Right answer"], hop)
            assert asked["Right answer"] not in hop.question.lower().split()


def test_only_the_reply_is_learned() -> None:
    tokenizer = build_tokenizer()
    messages, reply = example(random.Random(0))
    ids, labels = conversation(messages, reply, tokenizer)
    learned = [label for label in labels if label != -100]
    assert ids[-len(learned) :] == learned
    assert learned[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(learned[:-1]) == reply
    assert len(ids) < 384
