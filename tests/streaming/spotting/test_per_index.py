"""Streams over one index share what is made of it; an index that is gone takes that with it."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from streaming.entries import Entry, make_form
from streaming.index.searched_index import SearchedIndex
from streaming.spotting.form_bank import FormBank
from streaming.spotting.form_search import tables_for
from streaming.spotting.per_index import PerIndex, made_once
from streaming.spotting.scoring_config import ScoringConfig
from streaming.term_index import TermIndex
from tests.streaming.spoken_forms import MeanSpanEncoder


def _index() -> TermIndex:
    forms = [make_form(0, "plague", [[("P", "L", "EY", "G")]])]
    return TermIndex([Entry("e0", "plague", {})], forms, np.ones((1, 1), np.float32), np.zeros((1, 4), "f4"), "e", "v1")


def _bank_of(index: SearchedIndex) -> FormBank:
    return FormBank(index.forms)


def test_each_index_has_one() -> None:
    """The same for all who ask; another one for another index, be it of the same forms."""
    banks, one, other = PerIndex(_bank_of), _index(), _index()
    assert banks.of(one) is banks.of(one)
    assert banks.of(one) is not banks.of(other)


def test_what_is_made_goes_with_its_index() -> None:
    """A server that swaps glossaries for days keeps those that are listened for."""
    tables, index = made_once(tables_for(MeanSpanEncoder(), ScoringConfig())), _index()
    bank, proposals = weakref.ref(tables.bank_of(index)), weakref.ref(tables.proposals_of(index))
    assert bank() is not None
    assert proposals() is not None
    del index
    gc.collect()
    assert (bank(), proposals()) == (None, None)


def test_who_asks_for_another_index_does_not_wait() -> None:
    """A session over a small glossary opens while the tables of a large one are made; those who want it wait."""
    large, small, begun, end = _index(), _index(), threading.Event(), threading.Event()
    made: list[SearchedIndex] = []

    def make(index: SearchedIndex) -> FormBank:
        made.append(index)
        if index is large:
            begun.set()
            assert end.wait(30)
        return _bank_of(index)

    banks = PerIndex(make)
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(banks.of, large) for _ in range(2)]
        assert begun.wait(30)
        assert banks.of(small) is not None
        end.set()
        assert waiting[0].result(30) is waiting[1].result(30)
    assert made == [large, small]


def test_tables_are_made_once_for_all_streams() -> None:
    """The proposals of a large glossary take a second."""
    tables, index = made_once(tables_for(MeanSpanEncoder(), ScoringConfig())), _index()
    assert tables.proposals_of(index) is tables.proposals_of(index)
    assert tables.bank_of(index) is tables.bank_of(index)
