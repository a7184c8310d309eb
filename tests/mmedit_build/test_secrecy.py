from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable

import pytest

from mmedit_build.secrecy import hide, shows

KEY = "sk-0123456789?>~abcdef"


@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
@pytest.mark.parametrize("before", ["", "x", "me:", "Bearer ", "key ", "\0\0"])
@pytest.mark.parametrize("after", ["", "\n", "&a", "xyz"])
def test_a_secret_is_found_and_taken_out_wherever_it_stands_in_base64(
    encode: Callable[[bytes], bytes], before: str, after: str
) -> None:
    coded = encode(f"{before}{KEY}{after}".encode()).decode()
    assert shows(f"it is {coded}.", KEY)
    hidden = hide(f"it is {coded}.", KEY)
    assert hidden.startswith("it is ")
    assert "[key]" in hidden
    assert not shows(hidden, KEY)


def test_a_secret_is_found_and_taken_out_as_it_is() -> None:
    assert shows(f"Bearer {KEY}", KEY)
    assert hide(f"Bearer {KEY}, {KEY}", KEY) == "Bearer [key], [key]"
    assert not shows("Bearer sk-", KEY)
    assert hide("Bearer sk-", KEY) == "Bearer sk-"


def test_words_that_stand_for_no_key_may_occur_but_are_not_shown() -> None:
    assert not shows("an EMPTY box", "EMPTY")
    assert hide("you sent EMPTY", "EMPTY") == "you sent [key]"
    assert hide("you sent nothing", "") == "you sent nothing"
    assert not shows("you sent nothing", "")
