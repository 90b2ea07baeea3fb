"""Forms are embedded, said and measured once; a cache changes how often, and nothing else."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from index_builder import form_stages
from index_builder.build import build_index
from index_builder.form_stages import CachedPronouncer, background_of, embed_forms
from index_builder.formats import GlossaryFile, Languages, parse_glossary
from index_builder.glossary import Glossary, assemble
from index_builder.lint_sound import Sounds, pairs_alike
from index_builder.testing import HashEncoder, LetterPronouncer
from index_builder.vector_cache import form_cache, key_of
from streaming.entries import arpabet, make_form
from streaming.term_index import Form, TermIndex


def _nothing(_: int) -> None: ...


class _Background:
    """Statistics that depend on text and pronunciations; counts the forms it was asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, forms: Sequence[Form]) -> NDArray[np.float32]:
        self.asked += len(forms)
        return np.array([[len(f.text), len(f.pronunciations), len(f.characters), 1] for f in forms], np.float32)


def _glossary(words: Sequence[str]) -> Glossary:
    content = "".join(f"{word}\n" for word in words).encode()
    return assemble("g", [parse_glossary(GlossaryFile(Path("g.csv"), content), Languages())])


class _Builder:
    """Builds indexes with fakes that count, over one cache folder or none."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self.encoder, self.pronouncer, self.background = HashEncoder(), LetterPronouncer(), _Background()

    def __call__(self, words: Sequence[str], progress: Callable[[int, int], None] | None = None) -> TermIndex:
        def build(**cache: object) -> TermIndex:
            parts = (_glossary(words), self.encoder, self.pronouncer, self.background)
            return build_index(*parts, version="v", progress=progress, **cache)  # type: ignore[arg-type]

        if self._folder is None:
            return build()
        with form_cache(self._folder, self.encoder.encoder_id) as cache:
            return build(cache=cache)

    @property
    def asked(self) -> tuple[int, int, int]:
        """Texts embedded, words said and forms measured so far."""
        return sum(self.encoder.batches), len(self.pronouncer.asked), self.background.asked


WORDS = [f"{first}{second}lague" for first in "abcdefgh" for second in "pstm"]


def test_only_what_is_new_is_computed(tmp_path: Path) -> None:
    """After an edit of one term, one text is embedded, one word said and one form measured; the index is the same."""
    build = _Builder(tmp_path)
    build(WORDS)
    before = build.asked
    edited = build([*WORDS[:-1], "calamity"])
    assert tuple(now - then for now, then in zip(build.asked, before, strict=True)) == (1, 1, 1)
    fresh = _Builder(None)([*WORDS[:-1], "calamity"])
    np.testing.assert_array_equal(edited.vectors, fresh.vectors)
    np.testing.assert_array_equal(edited.background, fresh.background)
    for one, other in zip(edited.forms, fresh.forms, strict=True):
        assert (one.text, [arpabet(p) for p in one.pronunciations]) == (
            other.text,
            [arpabet(p) for p in other.pronunciations],
        )


def test_rebuilt_index_is_that_of_a_fresh_build(tmp_path: Path) -> None:
    """Terms changed, moved, added and removed: every byte of the folder, and what sounds alike, are the same."""
    build = _Builder(tmp_path / "cache")
    build(WORDS)
    edited = ["calamity", *WORDS[8:], *WORDS[2:5], "NASA", "placue"]
    rebuilt, fresh = build(edited), _Builder(None)(edited)
    for name, index in (("rebuilt", rebuilt), ("fresh", fresh)):
        index.save(tmp_path / name, b"{}")
    files = sorted(path.name for path in (tmp_path / "fresh").iterdir())
    assert sorted(path.name for path in (tmp_path / "rebuilt").iterdir()) == files
    for name in files:
        assert (tmp_path / "rebuilt" / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes()
    alike = [pairs_alike(Sounds(index.forms, index.vectors)) for index in (rebuilt, fresh)]
    assert alike[0] == alike[1] != []


@pytest.mark.parametrize("stage", ["embed", "pronounce", "background"])
def test_interrupted_build_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    """Batches that were done before Ctrl-C are not done again, whatever stage it met."""
    for name in ("_VECTORS_AT_ONCE", "_WORDS_AT_ONCE", "_FORMS_AT_ONCE"):
        monkeypatch.setattr(form_stages, name, 8)
    build = _Builder(tmp_path)
    calls = 0
    part = {"embed": build.encoder, "pronounce": build.pronouncer, "background": build.background}[stage]
    original = getattr(type(part), "__call__" if stage == "background" else stage)

    def interrupted(self: object, some: Sequence[object]) -> object:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return original(self, some)

    with monkeypatch.context() as patch:
        patch.setattr(type(part), "__call__" if stage == "background" else stage, interrupted)
        with pytest.raises(KeyboardInterrupt):
            build(WORDS)
    build(WORDS)
    assert build.asked == (len(WORDS), len(WORDS), len(WORDS))


def test_progress_rises_to_its_total_however_much_is_known(tmp_path: Path) -> None:
    """One bar for all stages: steps done never fall, never pass the total, and end there."""
    build = _Builder(tmp_path)
    for words in (WORDS, [*WORDS, "n l p"]):
        told: list[tuple[int, int]] = []
        build(words, lambda done, total, told=told: told.append((done, total)))  # type: ignore[misc]
        assert {total for _, total in told} == {told[0][1]}
        assert [done for done, _ in told] == sorted(done for done, _ in told)
        assert told[-1][0] == told[-1][1]


def test_form_said_otherwise_is_measured_anew(tmp_path: Path) -> None:
    """Statistics belong to a text and its pronunciations; two entries with the same share one row."""
    same = [make_form(i, "ion", [[("AY", "AH", "N")]]) for i in range(2)]
    other = make_form(2, "ion", [[("IY", "AH", "N")]])
    background = _Background()
    with form_cache(tmp_path, "e") as cache:
        rows = background_of([*same, other], background, cache, _nothing)
    assert (rows.shape, rows.dtype, background.asked) == ((3, 4), np.dtype(np.float32), 2)


def test_a_value_of_another_size_is_computed_again(tmp_path: Path) -> None:
    """What a foreign program left under our keys is no vector."""
    with form_cache(tmp_path, "e") as cache:
        cache.keep("vector", [(key_of("ion"), b"short")])
        vectors = embed_forms(["ion"], encoder := HashEncoder(), cache, _nothing)
    np.testing.assert_allclose(np.linalg.norm(vectors), 1, atol=1e-3)
    assert encoder.batches == [1]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text("abc", min_size=1, max_size=5), max_size=30))
def test_vectors_are_those_of_the_encoder_in_half_precision(texts: list[str]) -> None:
    """In the order of the texts, repeated ones too."""
    done: list[int] = []
    vectors = embed_forms(texts, HashEncoder(), None, done.append)
    slow = [HashEncoder().embed([text])[0].astype(np.float16).astype(np.float32) for text in texts]
    np.testing.assert_allclose(vectors, np.array(slow).reshape(-1, 16), atol=1e-3)
    assert sum(done) == len(set(texts))


def test_words_without_a_pronunciation_are_remembered_too(tmp_path: Path) -> None:
    """An empty answer is an answer."""
    inner = LetterPronouncer()
    with form_cache(tmp_path, "e") as cache:
        for _ in range(2):
            assert CachedPronouncer(inner, cache, _nothing).pronounce(["'", "ab"]) == [[], [("AE", "B")]]
    assert inner.asked == ["'", "ab"]
