"""What a form has in common with any speech is taken off, so that a form near to everything is nearest to nothing."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streaming.calibration import FEATURES, Calibration
from streaming.errors import ModelError
from streaming.model_folder import ModelFolder, ModelSpec
from streaming.spotting.form_search import FormSearch
from streaming.spotting.scoring_config import ScoringConfig
from streaming.spotting.span_hubs import HUBS_FILE, hubness, hubs_of, pack_hubs
from streaming.term_index import TermIndex
from tests.streaming.spoken_forms import BACKGROUND, ENTRIES, FORMS, GRADIENT, PLAGUE, MeanSpanEncoder, spoken

Floats = NDArray[np.float32]


def _unit(rng: np.random.Generator, count: int, dim: int) -> Floats:
    vectors = rng.standard_normal((count, dim))
    unit: Floats = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def _folder(contents: dict[str, bytes], dim: int = 3) -> ModelFolder:
    size = len(FEATURES)
    calibration = Calibration(
        np.zeros(size), np.ones(size), np.zeros(size), 0.0, (1,), np.array([0.5]), np.zeros((1, 1))
    )
    return ModelFolder(Path("folder"), ModelSpec("m", 1, 1, 1, dim, "", ()), "m-1", calibration, contents)


@pytest.mark.parametrize("hubs", [1, 5, 40])
def test_half_the_mean_of_the_nearest_hubs(hubs: int) -> None:
    """Eight, or all where there are fewer; more forms than one product takes."""
    rng = np.random.default_rng(hubs)
    forms, speech = _unit(rng, 3000, 6), _unit(rng, hubs, 6)
    expected = [0.5 * np.mean(sorted((form @ hub for hub in speech), reverse=True)[:8]) for form in forms]
    assert hubness(forms, speech) == pytest.approx(np.array(expected), abs=1e-6)


def test_without_hubs_nothing_is_taken_off() -> None:
    """A model that was made without them searches by the cosine alone."""
    assert np.array_equal(hubness(np.eye(3, dtype=np.float32), np.zeros((0, 3), np.float32)), np.zeros(3))


def test_a_folder_gives_back_what_was_packed_and_none_without_it() -> None:
    """In half precision."""
    hubs = np.array([[0.25, -0.5, 0.125], [1, 0, 0]], np.float32)
    assert np.array_equal(hubs_of(_folder({HUBS_FILE: pack_hubs(hubs)})), hubs)
    assert hubs_of(_folder({})).shape == (0, 3)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not numpy",
        pack_hubs(np.zeros((2, 4), np.float32)),
        pack_hubs(np.zeros(3, np.float32)),
        pack_hubs(np.array([[0, np.nan, 0]], np.float32)),
        pack_hubs(np.zeros((1, 3), np.float32)).replace(b"<f2", b"<i2"),
    ],
)
def test_damaged_hubs_are_refused_with_their_file(content: bytes) -> None:
    """The message names the file and the cure."""
    with pytest.raises(ModelError, match=rf"{HUBS_FILE}.*install TermCue again"):
        hubs_of(_folder({HUBS_FILE: content}))


def test_a_form_near_to_all_speech_is_no_longer_proposed_first() -> None:
    """One form lies where every span lies in part; less of that, the one that was said is nearest."""
    common = np.ones(len(FORMS), np.float32) / np.sqrt(len(FORMS))

    class Tower(MeanSpanEncoder):
        """Every span is for three parts like all others."""

        def embed(self, pooled: Floats) -> Floats:
            mixed = super().embed(pooled) + 2 * common
            unit: Floats = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
            return unit

    vectors = np.eye(len(FORMS), dtype=np.float32)
    vectors[PLAGUE] = common
    index = TermIndex(ENTRIES, FORMS, vectors, BACKGROUND, "fake", "v1")
    config = ScoringConfig(exhaustive_forms=0, proposals=2)
    plain, told = Tower(), Tower()
    told.hubs = common[None]
    assert FormSearch(index, plain, config).proposals(spoken(GRADIENT, 145))[0] == PLAGUE
    assert FormSearch(index, told, config).proposals(spoken(GRADIENT, 145))[0] == GRADIENT
