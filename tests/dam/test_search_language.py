"""Queries become trees, or errors that say where."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dam.search.language import All, Either, Field, Not, Phrase, SearchError, Word, parse
from dam.search.language_fields import ALIASES, FIELDS, suggest_fields
from dam.search.language_values import BYTES, Bounds, Span, read_bounds, read_span
from dam.search.terms import Term, tag_term, term, term_add, term_remove, terms_of, write

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
        ("(a b) c", All((a, b, c))),
        ("colour:Red", Field("color", "Red")),
        ("license:none", Field("licence", "none")),
        ('score:"hot dog">0.9', Field("score", "hot dog>0.9")),
        ('collection:"A (b)/C"', Field("collection", "A (b)/C")),
        ("width:>2000 -is:mine", All((Field("width", ">2000"), Not(Field("is", "mine"))))),
        ("dog* a", All((Word("dog*"), a))),
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
        ("(dog OR)", 8, "before this bracket"),
        ("dog AND OR", 9, "stands between"),
        ("dog tag:", 5, "needs something"),
        ('dog tag:""', 5, "needs something"),
        ("dog shade:red", 5, "Known: tag:"),
        ("dog colr:red", 5, "Did you mean color:?"),
        ("dog d*", 5, "two letters"),
        ("dog width:wide", 11, "no number"),
        ("dog width:>2mb", 11, "no unit “mb”"),
        ("dog width:300..200", 11, "300 is more than 200"),
        ("dog size:..", 10, "no number on either side"),
        ("dog taken:2023-02-29", 11, "no day 2023-02-29"),
        ("dog taken:soon", 11, "no date"),
        ("dog taken:2024..2020", 11, "later"),
        ("dog uploaded:<7x", 14, "no unit “x”"),
        ("dog uploaded:<99999y", 14, "too long ago"),
        ("dog color:mauve", 11, "Known: red, orange"),
        ("dog\n\ncolor:mauve", 12, "Known: red, orange"),
        ("dog score:cat", 11, "score:dog>0.9"),
        ("dog score:cat>2", 11, "between 0 and 1"),
        ("dog similar:cat", 13, "not the number"),
        ("dog OR similar:5", 16, "in no OR"),
        ("dog -similar:5", 14, "behind no dash"),
        ("similar:4 similar:5", 19, "one picture"),
        ("a" * 501, None, "500"),
        (" ".join("a" * 51), None, "50 words"),
        ("-(a " * 12 + "b" + ")" * 12, None, "10 deep"),
    ],
)
def test_an_error_says_what_is_wrong_and_where(text, column, says):
    with pytest.raises(SearchError) as caught:
        parse(text)
    assert caught.value.column == column
    assert says in caught.value.message


_BITS = [
    "a",
    "ab*",
    " ",
    "\n",
    "(",
    ")",
    '"',
    "-",
    ":",
    "OR",
    "AND",
    "é",
    "🐶",
    "\x00",
    "..",
    ">",
    "<",
    "=",
    "*",
]
_BITS += [f"{name}:" for name in (*FIELDS, *ALIASES, "what")]
_BITS += ["7d", "2024-02-30", "9999", "12mb", "0.9", "%", "/", "red", "none", "me", "=", "*"]
TEXTS = st.lists(st.sampled_from(_BITS), max_size=12).map("".join) | st.text(max_size=60)


@given(TEXTS)
def test_any_text_is_a_tree_or_an_error_within_the_text(text):
    column = None
    try:
        tree = parse(text)
    except SearchError as error:
        column = error.column
    else:
        assert tree is None or parse(write(tree)) == tree
    assert column is None or 1 <= column <= max(len(text), 1)


@given(
    TEXTS, st.sampled_from(["tag:hot-dog", 'collection:"A b"', "color:red", '"a b"', "word"]), st.booleans()
)
def test_a_term_that_is_added_and_removed_leaves_the_query_as_it_was(text, term, negated):
    try:
        before = term_add(text, "")
    except SearchError:
        return
    if any(known.text == term for known in terms_of(before)):
        return
    after = term_add(before, term, negated=negated)
    assert Term(term, negated) in terms_of(after)
    assert term_remove(after, term) == before
    assert term_add(after, term, negated=negated) == after


def test_a_term_takes_the_place_of_its_opposite_and_brackets_alternatives():
    assert term_add("a -tag:dog", "tag:dog") == "a tag:dog"
    assert term_add("a tag:Dog", "tag:dog", negated=True) == "a -tag:dog"
    assert term_add("a OR b", "color:red") == "(a OR b) color:red"
    assert term_remove("(a OR b) -color:red", "colour:red") == "a OR b"
    assert term_remove("a tag:dog", "-tag:dog") == "a"
    assert term_add("", "tag:dog") == "tag:dog"


def test_the_parts_of_a_query_are_those_that_all_have_to_hold():
    assert terms_of('a -"b c" (d OR e)') == [Term("a", False), Term('"b c"', True), Term("d OR e", False)]
    assert terms_of("a OR b") == [Term("a OR b", False)]
    assert terms_of("  ") == []


@given(st.text(min_size=1, max_size=80))
def test_a_term_of_any_value_is_one_filter(value):
    try:
        text = term("collection", value)
    except ValueError:
        return
    if "\x00" not in value:
        assert isinstance(parse(text), Field)


def test_a_term_of_a_camera_means_that_very_camera():
    assert term("camera", "Canon EOS 5") == 'camera:"=Canon EOS 5"'
    assert parse(term("collection", "The “old” (one)")) == Field("collection", "The old (one)")


def test_every_filter_s_example_can_be_searched_for():
    for name, kind in FIELDS.items():
        tree = parse(kind.example)
        assert isinstance(tree, Field)
        assert tree.name == name
        for value in kind.values:
            assert parse(term(name, value)) == Field(name, value)


def test_filters_are_offered_while_they_are_typed():
    assert [offer.term for offer in suggest_fields("wi")] == ["width:"]
    assert [offer.term for offer in suggest_fields("-col")] == ["collection:", "color:"]
    assert [offer.term for offer in suggest_fields("state:fa")] == ["state:failed"]
    assert [offer.term for offer in suggest_fields("colour:g")] == ["color:green", "color:grey"]
    assert suggest_fields("") == suggest_fields("what:x") == suggest_fields("state:failed") == []


NOW = datetime(2024, 5, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2024", (2024, 1, 1), (2025, 1, 1)),
        ("2024-12", (2024, 12, 1), (2025, 1, 1)),
        ("2024-02-29", (2024, 2, 29), (2024, 3, 1)),
        ("today", (2024, 5, 20), (2024, 5, 21)),
        ("yesterday", (2024, 5, 19), (2024, 5, 20)),
        ("2023..2024-03", (2023, 1, 1), (2024, 4, 1)),
        ("2023..", (2023, 1, 1), None),
        ("..2023", None, (2024, 1, 1)),
        (">2023", (2024, 1, 1), None),
        (">=2023", (2023, 1, 1), None),
        ("<2023-06", None, (2023, 6, 1)),
        ("<=2023-06", None, (2023, 7, 1)),
        ("<2w", (2024, 5, 6, 12), None),
        ("7d", (2024, 5, 13, 12), None),
        (">1y", None, (2023, 5, 21, 12)),
        ("<36 hours", (2024, 5, 19), None),
    ],
)
def test_days_and_ages_are_spans_of_time(text, start, end):
    def moment(parts):
        return datetime(*parts, tzinfo=UTC) if parts else None

    assert read_span(text, NOW) == Span(moment(start), moment(end))


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2000", 2000, 2000),
        (">2,000", 2001, None),
        ("<=2kb", None, 2000),
        ("2mb", 1_500_000, 2_499_999),
        ("2.5mb", 2_450_000, 2_549_999),
        ("1..2kb", 1, 2000),
        ("..5", None, 5),
    ],
)
def test_numbers_have_bounds_and_units(text, low, high):
    assert read_bounds(text, BYTES) == Bounds(low, high)


def test_the_term_of_a_tag_finds_that_tag():
    assert parse(tag_term("hot-dog")) == Field("tag", "hot-dog")
