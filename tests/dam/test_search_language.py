"""Queries become trees, or errors that say where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dam.search.language import All, Either, Field, Not, Phrase, SearchError, Word, parse, tag_term

a, b, c = Word("a"), Word("b"), Word("c")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", None),
        ("  \t ", None),
        ("a", a),
        ("a b", All((a, b))),
        ("a AND b", All((a, b))),
        ("a -b", All((a, Not(b)))),
        ("-(a b)", Not(All((a, b)))),
        ("a OR b c", Either((a, All((b, c))))),
        ("(a OR b) c", All((Either((a, b)), c))),
        ("a OR -b", Either((a, Not(b)))),
        ('"a b"', Phrase("a b")),
        ("“a b”", Phrase("a b")),
        ('-"a b"', Not(Phrase("a b"))),
        ("tag:hot-dog", Field("tag", "hot-dog")),
        ('Tag:"hot dog"', Field("tag", "hot dog")),
        ("-tag:a", Not(Field("tag", "a"))),
        ("hot-dog", Word("hot-dog")),
        ("a - b", All((a, Word("-"), b))),
        ("12:30", Word("12:30")),
        ("ORANGE ANDREW", All((Word("ORANGE"), Word("ANDREW")))),
        ('"a OR b"', Phrase("a OR b")),
        ("((((a))))", a),
    ],
)
def test_a_query_means_its_tree(text, tree):
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ('dog "hot', 5, "not closed"),
        ("(dog cat", 1, "not closed"),
        ('"(" (dog', 5, "not closed"),
        ("dog)", 4, "never opened"),
        ("dog ()", 6, "nothing between"),
        ("dog OR", 6, "missing at the end"),
        ("(dog OR )", 9, "before this bracket"),
        ("dog tag:", 5, "needs a name"),
        ("dog colour:red", 5, "Known: tag:"),
        ("a" * 501, None, "500"),
        (" ".join("a" * 51), None, "50 words"),
        ("(a " * 12 + "b" + ")" * 12, None, "10 deep"),
    ],
)
def test_an_error_says_what_is_wrong_and_where(text, column, says):
    with pytest.raises(SearchError) as caught:
        parse(text)
    assert caught.value.column == column
    assert says in caught.value.message


@given(st.text(alphabet=st.sampled_from('ab ()"-:OR\tTtagé🐶\x00'), max_size=60) | st.text(max_size=60))
def test_any_text_is_a_tree_or_a_search_error(text):
    column = None
    try:
        parse(text)
    except SearchError as error:
        column = error.column
    assert column is None or 1 <= column <= max(len(text), 1)


def test_the_term_of_a_tag_finds_that_tag():
    assert parse(tag_term("hot-dog")) == Field("tag", "hot-dog")
