"""A page asks for nothing else, and runs only the script that it was made with."""

from __future__ import annotations

import base64
import hashlib
import re

from mmedit_build.page import document


def _policy(page: bytes) -> str:
    found = re.search(rb'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert found is not None
    return found[1].decode()


def test_without_a_script_none_may_run() -> None:
    page = document("A", "", "<p>a</p>")
    assert _policy(page) == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert b"<script" not in page


def test_of_all_scripts_only_the_given_one_may_run() -> None:
    page = document("A", "", "<p>a</p>", "let a = 1 < 2;")
    digest = base64.b64encode(hashlib.sha256(b"let a = 1 < 2;").digest()).decode()
    assert _policy(page).endswith(f"; script-src 'sha256-{digest}'")
    assert b"<script>let a = 1 < 2;</script>" in page


def test_the_title_is_escaped_and_the_body_is_not() -> None:
    page = document("<i>", ".a{}", "<p>a</p>")
    assert b"<title>&lt;i&gt;</title>" in page
    assert b"<main>\n<p>a</p>\n</main>" in page


def test_half_of_a_surrogate_pair_does_not_break_the_page() -> None:
    assert b"&#55296;" in document("A", "", "a\ud800b")
