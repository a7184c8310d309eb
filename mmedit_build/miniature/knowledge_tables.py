"""The tables behind `knowledge`: what is known about the kinds of things, and how it is asked.

Tables of answers read "kind:best answer/another right answer/..., kind:..."; line breaks in them mean
nothing. A topic leaves out the kinds for which it has no clear answer (is a fish food? is an apple alive?).
"""

from __future__ import annotations

GROUPS = {
    "animal": "cat fish/",
    "fruit": "apple banana/",
    "vehicle": "car boat/",
    "plant": "tree/apple banana",
    "toy": "ball/",
    "building": "house/",
}
"""Group names: the kinds that belong to it / the kinds that could be said to."""

FINDS = {
    "can be eaten": "apple banana/fish",
    "is alive": "cat fish tree/apple banana",
    "is an animal": "cat fish/",
    "is a fruit": "apple banana/",
    "is a vehicle": "car boat/",
    "is a plant": "tree/apple banana",
    "is a toy": "ball/",
    "is a building": "house/",
    "has wheels": "car/",
    "has an engine": "car/boat",
    "travels on water": "boat/fish",
    "has fur": "cat/",
    "can meow": "cat/",
    "has gills": "fish/",
    "has scales": "fish/",
    "can hold a drink": "cup/",
    "can open a door": "key/",
    "has branches": "tree/",
    "has windows": "house/car boat",
    "shines in the sky": "star/",
    "can bounce": "ball/",
    "has to be peeled": "banana/apple",
}
"""Properties that single out one thing: the kinds that have it / the kinds that could be said to."""

GROUP_WORDINGS = {
    "find": (
        "Which thing here {p}?",
        "What in the picture {p}?",
        "Which of the things {p}?",
        "What can you see that {p}?",
    ),
    "group count": (
        "How many {group}s are in the picture?",
        "How many of the things are {group}s?",
        "What is the number of {group}s here?",
        "How many {group}s can you see?",
    ),
    "group exists": (
        "Is there a {group} in the picture?",
        "Can you see a {group} here?",
        "Is one of the things a {group}?",
        "Does the picture show a {group}?",
    ),
    "group color": (
        "What color is {thing}?",
        "Which color does {thing} have?",
        "What is the color of {thing}?",
    ),
    "group corner": (
        "Where is {thing}?",
        "In which corner is {thing}?",
        "Which corner holds {thing}?",
    ),
}

POINTER_ONLY = ("group", "edible", "alive")
"""Topics about a thing that a phrase like "the animal" would give away."""

ABOUT_THINGS = {
    "use": (
        (
            "What is {thing} used for?",
            "What do people use {thing} for?",
            "What purpose does {thing} serve?",
        ),
        """car:driving/transport/travel, boat:sailing/transport/travel, cup:drinking/coffee,
        ball:playing/play, house:living/shelter, key:opening doors/unlocking/locks""",
    ),
    "action": (
        (
            "What do you do with {thing}?",
            "What can a person do with {thing}?",
            "What would you do with {thing}?",
        ),
        """apple:eat/eat it, banana:eat/eat it, ball:throw/play/kick, car:drive/drive it, boat:sail/sail
        it, cup:drink/drink from it, key:unlock/open doors, tree:climb/climb it""",
    ),
    "place": (
        (
            "Where would you find {thing}?",
            "Where do you usually find {thing}?",
            "In what place would you expect {thing}?",
        ),
        """car:road/street, boat:sea/water/lake, star:sky/space, fish:water/sea/ocean,
        tree:forest/woods/park, cup:kitchen/cupboard""",
    ),
    "storage": (
        (
            "Where do people keep {thing}?",
            "Where is {thing} kept?",
            "What place do people store {thing} in?",
        ),
        """car:garage, boat:harbor/dock/marina, fish:aquarium/tank/bowl, cup:cupboard/cabinet,
        key:pocket/keyring, apple:basket/bowl, banana:basket/bowl""",
    ),
    "group": (
        (
            "What kind of thing is {thing}?",
            "What type of object is {thing}?",
            "To which group does {thing} belong?",
        ),
        """apple:fruit/food, banana:fruit/food, ball:toy, car:vehicle, boat:vehicle, house:building,
        tree:plant, cat:animal/pet, fish:animal""",
    ),
    "edible": (
        (
            "Can you eat {thing}?",
            "Is {thing} something to eat?",
            "Could a person eat {thing}?",
        ),
        "apple:yes, banana:yes, ball:no, car:no, boat:no, house:no, key:no, cup:no, star:no",
    ),
    "alive": (
        (
            "Is {thing} alive?",
            "Is {thing} a living being?",
            "Would you say that {thing} is alive?",
        ),
        "cat:yes, fish:yes, tree:yes, ball:no, car:no, boat:no, house:no, key:no, cup:no, star:no",
    ),
    "material": (
        (
            "What is {thing} made of?",
            "What material is {thing} made from?",
            "{thing} is made of what?",
        ),
        """car:metal/steel, boat:wood, house:brick/bricks/stone, cup:china/porcelain/ceramic, tree:wood,
        key:metal/steel, ball:rubber/plastic/leather, star:gas/hot gas""",
    ),
    "cover": (
        (
            "What is {thing} covered with?",
            "What covers {thing}?",
            "{thing} has what on its outside?",
        ),
        """cat:fur/hair, fish:scales, apple:skin/peel, banana:peel/skin, tree:bark/leaves, house:roof,
        car:paint""",
    ),
    "motion": (
        (
            "How does {thing} move?",
            "What way of moving does {thing} have?",
            "In what way does {thing} move?",
        ),
        "car:rolls/drives, ball:rolls/bounces, boat:floats/sails, cat:walks/runs, fish:swims",
    ),
    "sound": (
        (
            "What sound does {thing} make?",
            "What noise can {thing} make?",
            "Which sound comes from {thing}?",
        ),
        "cat:meow/purr, car:honk/beep/vroom",
    ),
    "legs": (
        (
            "How many legs does {thing} have?",
            "What is the number of legs of {thing}?",
        ),
        "cat:4, fish:0",
    ),
    "wheels": (
        (
            "How many wheels does {thing} have?",
            "What is the number of wheels of {thing}?",
        ),
        "car:4, boat:0",
    ),
    "inside": (
        (
            "What do you find inside {thing}?",
            "What is inside {thing}?",
            "What does {thing} have in it?",
        ),
        """cup:coffee/tea/water, apple:seeds/core, car:seats/people, house:rooms/furniture, ball:air,
        fish:bones""",
    ),
    "surface": (
        (
            "What does {thing} travel on?",
            "On what does {thing} travel?",
            "What is under {thing} when it travels?",
        ),
        "car:road/street, boat:water/sea",
    ),
    "person": (
        (
            "Who steers {thing}?",
            "What do you call the person who steers {thing}?",
            "Who is in charge of {thing}?",
        ),
        "car:driver, boat:captain/sailor",
    ),
    "dweller": (
        (
            "Who lives in {thing}?",
            "What lives in {thing}?",
            "{thing} is a home to whom?",
        ),
        "house:people/family/humans, tree:birds/bird/squirrel",
    ),
    "diet": (
        (
            "What does {thing} eat?",
            "What does {thing} like to eat?",
            "What food is right for {thing}?",
        ),
        "cat:mice/mouse, fish:worms/worm/plankton",
    ),
    "breath": (
        (
            "What does {thing} breathe with?",
            "With what does {thing} breathe?",
            "What does {thing} use to breathe?",
        ),
        "cat:lungs/lung/nose, fish:gills/gill",
    ),
    "young": (
        (
            "What is the young of {thing} called?",
            "What do you call a baby of {thing}?",
        ),
        "cat:kitten/kittens, fish:fry",
    ),
    "taste": (
        (
            "How does {thing} taste?",
            "What taste does {thing} have?",
            "{thing} has what taste?",
        ),
        "apple:sweet/juicy, banana:sweet",
    ),
    "when": (
        (
            "When can you see {thing} best?",
            "At what time of day is {thing} seen?",
            "When does {thing} appear?",
        ),
        "star:night/at night",
    ),
    "origin": (
        (
            "Where does {thing} grow?",
            "What does {thing} grow on?",
            "Where was {thing} picked?",
        ),
        "apple:tree/trees, banana:plant/tree",
    ),
}
"""Topics about one thing: the wordings, and the answers for the kinds that have one."""
