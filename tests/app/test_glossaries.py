"""Published glossaries as a server opens them: one bad one does not take the others with it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.glossaries import (
    GlossarySettings,
    as_one,
    note_untranslated,
    open_file,
    open_glossary,
    open_layers,
    open_published,
)
from app.glossary_notes import note_rejected
from app.places import Places
from app.publishing import publish_glossary, with_published_ids
from index_builder.build import build_index
from index_builder.formats import GlossaryFile, Languages, RejectedRow, parse_glossary
from index_builder.glossary import assemble
from index_builder.publish import publish, published, sole_publisher, version_name
from index_builder.report import IndexReport
from index_builder.testing import HashEncoder, LetterPronouncer, built_index, flat_background
from streaming.errors import GlossaryError, IndexFolderError, SettingError
from streaming.model_folder import BUNDLED, ModelFolder


@pytest.fixture
def folder() -> ModelFolder:
    """The bundled model under the name of the encoder that builds these indexes."""
    return replace(ModelFolder.load(BUNDLED), encoder_id="hash-encoder")


def _publish(data_dir: Path, glossary_id: str) -> Path:
    glossary = assemble(glossary_id, [parse_glossary(GlossaryFile(Path("g.csv"), b"plague\n"), Languages())])
    version = version_name(datetime(2026, 10, 14, tzinfo=UTC), "0" * 32)
    index = build_index(glossary, HashEncoder(), LetterPronouncer(), flat_background, version=version)
    return publish(data_dir, glossary_id, index, IndexReport.of(glossary, index, 0.0))


def test_damaged_glossary_is_left_out_and_told(
    tmp_path: Path, folder: ModelFolder, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are opened; what is wrong with the damaged one goes to the log, in one line."""
    places = Places.of(tmp_path)
    (_publish(tmp_path, "bad") / "background.npy").write_bytes(b"")
    _publish(tmp_path, "good")
    assert [glossary.id for glossary in open_published(published(places.data), folder, places)] == ["good"]
    (line,) = caplog.messages
    assert "bad is left out: " in line
    assert "background.npy has 0 bytes" in line


def test_nothing_that_can_be_used_is_an_error(tmp_path: Path, folder: ModelFolder) -> None:
    """A server without a single glossary does not start."""
    (_publish(tmp_path, "bad") / "background.npy").write_bytes(b"")
    with pytest.raises(IndexFolderError, match=r"none of the glossaries .* can be used: bad; publish them again"):
        open_published(["bad"], folder, Places.of(tmp_path))


def test_version_under_another_name_is_not_opened(tmp_path: Path, folder: ModelFolder) -> None:
    """A published id whose current version holds another is damaged."""
    version = _publish(tmp_path, "terms")
    other = "20271014T091203Z-0123456789ab"
    version.rename(version.with_name(other))
    (tmp_path / "glossaries" / "terms" / "CURRENT").write_text(f"{other}\n")
    with pytest.raises(IndexFolderError, match=f"is damaged: it holds the version '{version.name}'"):
        open_glossary("terms", folder, Places.of(tmp_path))


def test_second_publisher_is_refused_before_it_builds(tmp_path: Path, folder: ModelFolder) -> None:
    """Minutes of embedding are not spent on a version that could not be published."""
    file = GlossaryFile(Path("g.csv"), b"plague\n")
    glossary = assemble("talks", [parse_glossary(file, Languages())])
    places = Places.of(tmp_path)
    # Building would fail: no model goes by that name.
    with sole_publisher(tmp_path, "talks"), pytest.raises(IndexFolderError, match="is being changed by process"):
        publish_glossary(glossary, [file], folder, places, GlossarySettings())
    assert published(tmp_path) == []


def test_entries_keep_the_ids_of_the_published_version(tmp_path: Path) -> None:
    """Whoever inserts a row does not rename what follows; without a published version nothing changes."""
    places = Places.of(tmp_path)
    glossary = assemble("terms", [parse_glossary(GlossaryFile(Path("g.csv"), b"ion\nplague\n"), Languages())])
    assert with_published_ids(glossary, places) is glossary
    _publish(tmp_path, "terms")
    kept = with_published_ids(glossary, places)
    assert {each.entry.term: each.entry.entry_id for each in kept.entries} == {
        "plague": "terms:000001",
        "ion": "terms:000002",
    }


def test_layers_are_opened_in_their_order(tmp_path: Path, folder: ModelFolder) -> None:
    """Ids parted by commas are one glossary, of which the first wins; one id, or a file of such a name, is itself."""
    places = Places.of(tmp_path)
    for glossary_id in ("mine", "all"):
        _publish(tmp_path, glossary_id)
    for name in ("mine,all", "mine, all", " mine ,all "):
        layers = as_one(open_layers(name, folder, places))
        assert (layers.id, [form.text for form in layers.index.forms]) == ("mine,all", ["plague"])
    assert as_one(open_layers("mine", folder, places)).id == "mine"
    with pytest.raises(SettingError, match="two glossaries are called 'mine'"):
        open_layers("mine,mine", folder, places)
    with pytest.raises(GlossaryError, match="'other' is neither"):
        open_layers("mine,other", folder, places)
    for name in ("mine,", ",mine", "mine, ,other"):
        with pytest.raises(SettingError, match="one has no name; remove the comma"):
            open_layers(name, folder, places)


def test_layer_without_the_translations_shown_is_told(
    tmp_path: Path, folder: ModelFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its name, with the languages that it has; a layer whose language has no name may have them."""
    places = Places.of(tmp_path)
    rows = {"mine": "term,fr\nion,ion\n", "all": "term,de\nplague,Pest\n", "own": "term,translation\nsalt,Salz\n"}
    for glossary_id, text in rows.items():
        publish(tmp_path, glossary_id, *built_index(text, "20261014T091201Z-0123456789ab", glossary_id))
    note_untranslated(open_layers("mine,all,own", folder, places), "de")
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "termcue: mine has no translations into de, so its hints come without; it has: fr"


def test_rejected_row_of_a_workbook_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The note names the sheet as well as the line."""
    rejected = [RejectedRow("terms.xlsx, sheet 'Law'", 7, "!?", "the term has no letter or digit")]
    note_rejected(tmp_path / "terms.xlsx", rejected, 9)
    assert "the first is terms.xlsx, sheet 'Law' line 7: '!?'" in capsys.readouterr().err


def test_an_index_that_is_no_longer_wanted_is_not_built(tmp_path: Path) -> None:
    """A server that stops is not held up by a large glossary; the next one builds it."""
    path = tmp_path / "terms.csv"
    path.write_text("term,de\nplague,Pest\n")
    places, folder = Places.of(tmp_path / "data", {"HOME": str(tmp_path)}), ModelFolder.load(BUNDLED)
    with pytest.raises(GlossaryError, match="not wanted"):
        open_file(path, folder, places, is_stopping=lambda: True)
    assert len(open_file(path, folder, places).index.entries) == 1
