"""Which glossaries a recording is replayed with."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from app.loaded_model import Model
from app.places import Places
from app.recorded_versions import RecordedVersions, files_by_id
from index_builder.publish import publish
from index_builder.testing import built_index
from streaming.errors import IndexFolderError
from streaming.model_folder import BUNDLED, ModelFolder
from streaming.sessions.recorded_session import RecordedSession
from streaming.wire.messages import GlossaryUpdated

VERSION = "20261014T091201Z-0123456789ab"


def _recording(glossary_id: str) -> RecordedSession:
    begin = SimpleNamespace(glossary=SimpleNamespace(id=glossary_id, version="v1"))
    updated = GlossaryUpdated(
        seq=1, from_version="v1", to_version="v2", effective_at=1.0, added=0, removed=0, changed=1
    )
    return cast("RecordedSession", SimpleNamespace(begin=begin, messages=[updated]))


def test_a_glossary_of_another_model_names_the_option_that_helps(tmp_path: Path) -> None:
    """Its published index is of no use to the replay; its file is, and the message says under which name."""
    publish(tmp_path, "talks", *built_index("term,de\nplague,Pest\n", VERSION, "talks"))
    folder = replace(ModelFolder.load(BUNDLED), encoder_id="another")
    versions = RecordedVersions(cast("Model", SimpleNamespace(folder=folder)), Places.of(tmp_path), "cpu", {})
    with pytest.raises(IndexFolderError, match=r"built by the encoder .*--glossary FILE, .* by its name, talks"):
        versions.load("talks", VERSION)


def test_files_stand_for_what_was_recorded() -> None:
    """Several by their names; a single one for the only glossary, however it is called."""
    one, two = Path("terms2.xlsx"), Path("mine.csv")
    assert files_by_id([one], _recording("talks")) == {"talks": one}
    assert files_by_id([one], _recording("talks,mine")) == {"terms2": one}
    assert files_by_id([one, two], _recording("talks,mine")) == {"terms2": one, "mine": two}
    refused = cast("RecordedSession", SimpleNamespace(begin=None, messages=[]))
    assert files_by_id([one], refused) == {"terms2": one}
