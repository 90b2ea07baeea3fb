"""Streams over one index share its bank; an index that is gone takes its bank with it."""

import gc
import weakref

import numpy as np

from streaming.entries import Entry, make_form
from streaming.spotting.form_banks import FormBanks
from streaming.term_index import TermIndex


def _index() -> TermIndex:
    forms = [make_form(0, "plague", [[("P", "L", "EY", "G")]])]
    return TermIndex([Entry("e0", "plague", {})], forms, np.ones((1, 1), np.float32), np.zeros((1, 4), "f4"), "e", "v1")


def test_each_index_has_one_bank() -> None:
    """The same for all who ask; another one for another index, be it of the same forms."""
    banks, one, other = FormBanks(), _index(), _index()
    assert banks.of(one) is banks.of(one)
    assert banks.of(one) is not banks.of(other)


def test_a_bank_goes_with_its_index() -> None:
    """A server that swaps glossaries for days keeps those that are listened for."""
    banks, index = FormBanks(), _index()
    bank = weakref.ref(banks.of(index))
    del index
    gc.collect()
    assert bank() is None
