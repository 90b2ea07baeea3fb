"""What all spans have in common is taken off the query, so that a form near to everything is nearest to nothing."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streaming.calibration import FEATURES, Calibration
from streaming.encoding.encoded_context import EncodedContext
from streaming.errors import ModelError
from streaming.model_folder import ModelFolder, ModelSpec
from streaming.spans import SpanGrid, pool_spans
from streaming.spotting.form_search import FormSearch
from streaming.spotting.scoring_config import ScoringConfig
from streaming.spotting.span_centre import CENTRE_FILE, centre_of, mean_span, pack_centre
from streaming.term_index import TermIndex
from tests.streaming.spoken_forms import BACKGROUND, ENTRIES, FORMS, GRADIENT, PLAGUE, MeanSpanEncoder, spoken

Floats = NDArray[np.float32]


def _folder(contents: dict[str, bytes], dim: int = 3) -> ModelFolder:
    size = len(FEATURES)
    calibration = Calibration(
        np.zeros(size), np.ones(size), np.zeros(size), 0.0, (1,), np.array([0.5]), np.zeros((1, 1))
    )
    return ModelFolder(Path("folder"), ModelSpec("m", 1, 1, 1, dim, "", ()), "m-1", calibration, contents)


def test_the_mean_is_that_of_every_span_of_the_grid() -> None:
    """Contexts of one length count alike, spans of every length that end in the newest frames are in it."""
    rng = np.random.default_rng(0)
    contexts = [EncodedContext(np.zeros((40, 1), "f4"), np.zeros((40, 1), "f4"), rng.random((40, 2), np.float32))] * 2
    contexts.append(EncodedContext(np.zeros((40, 1), "f4"), np.zeros((40, 1), "f4"), np.ones((40, 2), np.float32)))
    grid, tower = SpanGrid(lengths=(4, 10), stride=3), MeanSpanEncoder()
    vectors = [tower.embed(pool_spans(c.frames, grid.grid(40, 25))) for c in contexts]
    expected = np.concatenate(vectors).mean(axis=0)
    assert mean_span(contexts, tower.embed, grid, 15) == pytest.approx(expected, abs=1e-6)


def test_a_folder_gives_back_what_was_packed_and_zeros_without_it() -> None:
    """A folder made before there was a centre searches as it did."""
    centre = np.array([0.25, -0.5, 0.125], np.float32)
    assert np.array_equal(centre_of(_folder({CENTRE_FILE: pack_centre(centre)})), centre)
    assert np.array_equal(centre_of(_folder({})), np.zeros(3, np.float32))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not numpy",
        pack_centre(np.zeros(4, np.float32)),
        pack_centre(np.array([0, np.nan, 0], np.float32)),
        pack_centre(np.zeros(3, np.float32)).replace(b"<f4", b"<i4"),
    ],
)
def test_a_damaged_centre_is_refused_with_its_file(content: bytes) -> None:
    """The message names the file and the cure."""
    with pytest.raises(ModelError, match=rf"{CENTRE_FILE}.*install TermCue again"):
        centre_of(_folder({CENTRE_FILE: content}))


def test_a_form_near_to_all_speech_is_no_longer_proposed_first() -> None:
    """One form lies where every span lies in part; less of that, the one that was said is nearest."""
    said = np.eye(len(FORMS), dtype=np.float32)
    common = np.ones(len(FORMS), np.float32) / np.sqrt(len(FORMS))

    class Tower(MeanSpanEncoder):
        """Every span is for three parts like all others."""

        def embed(self, pooled: Floats) -> Floats:
            mixed = super().embed(pooled) + 3 * common
            unit: Floats = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
            return unit

    vectors = said.copy()
    vectors[PLAGUE] = common
    index = TermIndex(ENTRIES, FORMS, vectors, BACKGROUND, "fake", "v1")
    config = ScoringConfig(exhaustive_forms=0, proposals=2)
    plain, centred = Tower(), Tower()
    centred.centre = common
    assert FormSearch(index, plain, config).proposals(spoken(GRADIENT, 145))[0] == PLAGUE
    assert FormSearch(index, centred, config).proposals(spoken(GRADIENT, 145))[0] == GRADIENT
