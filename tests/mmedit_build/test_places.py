from __future__ import annotations

from pathlib import Path

import pytest

from mmedit_build.errors import UserError
from mmedit_build.places import named, place
from mmedit_build.store import check_writable, locked

ODD = {
    "": "empty",
    " ": "empty",
    "a\0b": "zero byte",
    "\ud800": "UTF-8",
    "b\udcff": "UTF-8",
    "n" * 256: "long",
}
LONG = "/".join(["n" * 200] * 30)


@pytest.mark.parametrize(("given", "told"), [*ODD.items(), (f"a/{'é' * 128}/b", "long"), (LONG, "long")])
def test_what_nothing_can_be_called_is_refused(given: str, told: str) -> None:
    for read in (named, place):
        with pytest.raises(UserError, match=f"cannot be a name or a path .*{told}") as caught:
            read(given)
        assert len(str(caught.value)) < 450
        str(caught.value).encode("ascii")


@pytest.mark.parametrize("given", ["a", "a b", "../ü/[x]", "/", ".", "n" * 255, "é" * 127])
def test_ordinary_names_are_taken(given: str) -> None:
    assert named(given) == given
    assert place(given) == place(Path(given)) == Path(given)


@pytest.mark.parametrize("given", [name for name in ODD if name.strip()])
def test_no_folder_is_made_for_them(given: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be a name"):
        check_writable(tmp_path / given)
    with pytest.raises(UserError, match="cannot be a name"), locked(tmp_path / given, "busy"):
        pass
