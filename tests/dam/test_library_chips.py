"""Queries written back as text mean what they meant."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dam.library.chips import search_address
from dam.search.language import All, Either, Field, Not, Phrase, Word, parse
from dam.search.terms import write

_WORDS = st.sampled_from(["dog", "golden", "img_2041.jpg", "crème", "x-ray", "12"])
_TERMS = (
    _WORDS.map(Word)
    | st.sampled_from(["deep sea", "a", "OR", "(b)"]).map(Phrase)
    | st.sampled_from(["hot-dog", "hot dog"]).map(lambda value: Field("tag", value))
)


def _grow(inner: st.SearchStrategy) -> st.SearchStrategy:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return inner.map(Not) | several.map(All) | several.map(Either)


_TREES = st.recursive(_TERMS, _grow, max_leaves=6)


@given(_TREES)
def test_what_is_written_is_read_as_the_same_query(tree) -> None:
    written = write(tree)
    assert write(parse(written)) == written
    assert _meaning(parse(written)) == _meaning(tree)


def test_an_address_names_only_what_differs_from_the_plain_library() -> None:
    assert search_address() == "?"
    assert search_address(query="dog", sort="newest") == "?q=dog"
    assert search_address(query="a b", sort="name", cursor="c") == "?q=a+b&sort=name&cursor=c"


def _meaning(node):
    """The tree with nested lists of one kind joined: ``(a b) c`` is ``a b c``."""
    match node:
        case Not(inner):
            return ("not", _meaning(inner))
        case All(nodes) | Either(nodes):
            kind = type(node).__name__
            parts = []
            for child in map(_meaning, nodes):
                parts += child[1] if child[0] == kind else [child]
            return (kind, parts)
        case _:
            return ("term", node)
