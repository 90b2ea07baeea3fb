"""Composition without a model: ids, languages and what happens to a glossary that is not there."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from app.cli import run
from app.glossaries import id_of
from app.loaded_model import calibration_warning
from app.options import HOPS_MS, MODEL_PROVIDERS
from app.samples import glossary_path, recordings
from app.wiring import OpenGlossary, by_id, choose_target_lang
from index_builder.testing import HashEncoder, flat_background
from streaming import pipeline_config
from streaming.encoding.providers import PROVIDERS
from streaming.entries import Entry, make_form
from streaming.errors import SettingError
from streaming.model_folder import BUNDLED, ModelFolder, render_spec, spec_digest
from streaming.term_index import TermIndex


def _glossary(*translations: dict[str, str], glossary_id: str = "talks") -> OpenGlossary:
    entries = [Entry(f"e{number}", f"term {number}", each) for number, each in enumerate(translations)]
    forms = [make_form(number, "term", []) for number in range(len(entries))]
    vectors = HashEncoder().embed([form.text for form in forms])
    index = TermIndex(entries, forms, vectors, flat_background(forms).astype(np.float32), "hash-encoder", "v1")
    return OpenGlossary(glossary_id, index)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("terms.csv", "terms"), ("My Terms (2024).csv", "my-terms-2024"), ("术语.csv", "glossary"), ("a..b.tsv", "a..b")],
)
def test_id_of_a_file_is_its_name_in_safe_letters(name: str, expected: str) -> None:
    """A file without an id is listened for under its own name."""
    assert id_of(Path(name)) == expected


def test_language_is_the_one_asked_for_or_the_first() -> None:
    """Translations are shown in the language asked for, else in the glossary's first."""
    glossary = _glossary({"de": "a", "zh": "b"}, {"es": "c"})
    assert glossary.target_langs == ("de", "zh", "es")
    assert choose_target_lang(glossary, None) == "de"
    assert choose_target_lang(glossary, "es") == "es"
    assert choose_target_lang(_glossary({}), None) is None


def test_language_that_is_not_there_is_refused() -> None:
    """A language without translations is an error that lists those there are."""
    with pytest.raises(SettingError, match=r"into 'fr'; it has: de, zh"):
        choose_target_lang(_glossary({"de": "a", "zh": "b"}), "fr")


def test_unnamed_language_serves_any() -> None:
    """A glossary that does not name the language of its translations is taken at the user's word."""
    assert choose_target_lang(_glossary({"": "a"}), "fr") == "fr"


def test_a_model_that_was_never_calibrated_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One note on standard error, from listen and from serve; the bundled model is calibrated and gives none."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    copied = tmp_path / "model"
    shutil.copytree(BUNDLED, copied)
    spec = json.loads((copied / "spec.json").read_text("utf-8"))
    del spec["calibration_report"]
    (copied / "spec.json").write_bytes(render_spec(spec | {"spec_sha256": spec_digest(spec)}))
    assert ModelFolder.load(BUNDLED).is_calibrated
    assert calibration_warning(ModelFolder.load(BUNDLED)) is None
    assert not ModelFolder.load(copied).is_calibrated
    sentence = (
        "termcue: this model is not calibrated: its probabilities and --false-hints-per-hour mean nothing yet; "
        f"run termcue calibrate --model {copied}\n"
    )
    given = ["--glossary", str(glossary_path()), "--model", str(copied)]
    assert run(["listen", str(recordings()[1].path), *given, "--json"]) == 0
    told = capsys.readouterr()
    assert told.err.count(sentence) == 1
    assert all(json.loads(line)["type"] for line in told.out.splitlines())
    monkeypatch.setattr("streaming.server.run_server", lambda *served, on_ready, **wired: on_ready("ws://here"))
    assert run(["serve", *given]) == 0
    assert capsys.readouterr().err.count(sentence) == 1


def test_two_glossaries_of_one_id_are_refused() -> None:
    """Which of two would be served must not depend on their order."""
    with pytest.raises(SettingError, match="'talks'"):
        by_id([_glossary({"de": "a"}), _glossary({"de": "b"})])


def test_the_command_offers_the_hops_there_are() -> None:
    """Its list is a copy, so that --help loads nothing."""
    assert HOPS_MS == pipeline_config.HOPS_MS


def test_provider_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--provider` takes what the encoders take; a GPU that this build lacks is wrong usage, told with the cure."""
    assert MODEL_PROVIDERS == PROVIDERS
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    assert run(["listen", "sample", "--provider", "cuda"]) == 2
    assert "--provider cuda" in capsys.readouterr().err
