from __future__ import annotations

from evaluation.drawing.markup import Html, join, tag


def test_text_is_escaped_and_markup_is_not() -> None:
    assert tag("p", "<b> & ", tag("b", "bold")) == "<p>&lt;b&gt; &amp; <b>bold</b></p>"
    assert join(["<", Html("<br>")]) == "&lt;<br>"


def test_attributes_are_escaped_too() -> None:
    assert tag("a", title='"><script>') == '<a title="&quot;&gt;&lt;script&gt;"></a>'


def test_attributes_may_be_bare_or_left_out() -> None:
    assert tag("form", hidden=True, id=None, open=False) == "<form hidden></form>"


def test_names_of_attributes_can_be_those_of_python() -> None:
    assert tag("td", class_="a", data_label="b") == '<td class="a" data-label="b"></td>'


def test_void_elements_have_no_end() -> None:
    assert tag("img", src="data:,") == '<img src="data:,">'


def test_coordinates_are_short() -> None:
    assert tag("line", x1=1 / 3, x2=2.0) == '<line x1="0.3" x2="2"></line>'


def test_adding_text_to_markup_makes_it_text_again() -> None:
    assert tag("p", tag("b") + "<script>") == "<p>&lt;b&gt;&lt;/b&gt;&lt;script&gt;</p>"
