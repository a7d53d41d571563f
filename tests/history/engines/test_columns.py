"""Which words are one level to PostgreSQL, and which to Polars."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from holdfast.contract.parse import boolean_words, key_of
from holdfast.history.engines import columns
from holdfast.history.settle import literal

WORDS = [
    "Résiliation", "ÉCHEC", "échec.", "Zürich 2.0", "STRAẞE", "straße", "İst", "ist", "ДА", "Сбой", "ΠΛΗΡΩΜΉ",
    "ΟΔΌΣ", "οδός", "Đặt hàng", "ÅRSAVGIFT", "Ǆep", "IŞIK", "\u0131ş", "MÜŞTERİ", "ԱՎԱՐՏ", "ᏣᎳᎩ", "ⰀⰁ",
    "Kelvin", "Paid", "paid", "3.", "3.0", "+07.00", "٣.0", "a\\É", "l'Été",
]  # fmt: skip
LETTERS = st.sampled_from("éÉßẞiIİ\u0131\u03c3\u03c2\u03a3дДåÅþÞǆǅǄœŒÿŸﬁ\u0307 .01k")


@pytest.fixture(scope="module")
def asked(postgres):
    with psycopg.connect(postgres.url(), autocommit=True) as connection:

        def run(texts, keys):
            """Of each text and key, whether it has it."""
            rows = ", ".join(f"({place}, {literal(text)})" for place, text in enumerate(texts))
            tests = ", ".join(f"{columns._key('t', keys)} = {columns._small(key)}" for key in keys)
            given = f'SELECT n, t COLLATE "C" AS t FROM (VALUES {rows}) AS v(n, t)'  # noqa: S608 - ours
            found = connection.execute(f"SELECT {tests} FROM ({given}) AS w ORDER BY n")  # noqa: S608 - ours
            return [dict(zip(keys, row, strict=True)) for row in found]

        yield run


def one_sigma(key):
    return key.replace("\u03c2", "\u03c3")


def check(asked, words):
    texts = list(
        dict.fromkeys(form for word in words for form in (word, word.upper(), word.lower(), word.title()))
    )
    keys = list(dict.fromkeys(map(key_of, words)))
    for text, has in zip(texts, asked(texts, keys), strict=True):
        same = {key for key in keys if one_sigma(key) == one_sigma(key_of(text))}
        assert {key for key in keys if has[key]} == same, text


def test_words_of_many_tongues_are_one_level_in_either_case(asked):
    check(asked, WORDS)


@settings(max_examples=60)
@given(st.lists(st.text(LETTERS, min_size=1, max_size=6), min_size=1, max_size=8))
@example(["İ", "i\u0307"])
def test_words_of_letters_with_odd_cases_are_one_level_where_polars_says_so(asked, words):
    check(asked, words)


def test_words_that_everyone_knows_are_read_in_capitals(asked):
    yes, no = boolean_words()
    for words in (yes, no):
        for word, has in zip(
            sorted(words), asked([word.upper() for word in sorted(words)], sorted(words)), strict=True
        ):
            assert has[word]


def test_a_statement_whose_levels_are_ascii_has_nothing_of_other_letters():
    assert "translate" not in columns._key("t", ["paid", "failed"])
    assert "translate" in columns._key("t", ["paid", "échec"])
