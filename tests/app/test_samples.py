"""The bundled sample is whole: recordings, transcripts and a glossary of spoken and unspoken terms."""

import csv

import pytest
import soundfile

from app import samples


def glossary_rows() -> list[dict[str, str]]:
    """Return the rows of the bundled glossary."""
    with samples.glossary_path().open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def spoken_terms() -> set[str]:
    """Return the terms of the glossary that stand as whole words in a transcript."""
    transcripts = [f" {recording.words} " for recording in samples.recordings()]
    rows = [row["term"] for row in glossary_rows()]
    return {term for term in rows if any(f" {term.lower().replace('-', ' ')} " in text for text in transcripts)}


@pytest.mark.parametrize("recording", samples.recordings(), ids=lambda recording: recording.path.stem)
def test_recording_is_16_khz_mono(recording: samples.Recording) -> None:
    """Each bundled recording can be opened and has the rate the model hears."""
    described = soundfile.info(recording.path)
    assert (described.samplerate, described.channels) == (16_000, 1)
    assert described.frames > 16_000


def test_every_bundled_recording_is_listed() -> None:
    """No recording lies in the folder without a transcript."""
    assert {recording.path for recording in samples.recordings()} == set(samples.samples_folder().glob("*.flac"))


def test_transcripts_are_plain_words() -> None:
    """Transcripts are lower-case words, so that terms can be found in them by comparison."""
    for recording in samples.recordings():
        assert set(recording.words) <= set("abcdefghijklmnopqrstuvwxyz' ")


def test_glossary_has_every_translation() -> None:
    """Each entry has a German, a Chinese and a Spanish translation."""
    for row in glossary_rows():
        assert list(row) == ["term", "de", "zh", "es", "note"]
        assert all(row[column].strip() for column in ("term", "de", "zh", "es")), row


def test_glossary_terms_are_unique() -> None:
    """No term stands twice."""
    terms = [row["term"].lower() for row in glossary_rows()]
    assert len(terms) == len(set(terms))


def test_glossary_has_spoken_and_unspoken_terms() -> None:
    """The sample shows hints and abstention: some terms are spoken, most are not."""
    spoken = spoken_terms()
    assert {"fellow Americans", "ill-disposed", "amiable", "country"} <= spoken
    assert 10 <= len(spoken) < len(glossary_rows()) / 2
