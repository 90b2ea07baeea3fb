from collections.abc import Mapping

import pytest

from streaming.session import ServedGlossary
from streaming.testing import tone_glossary
from tests.streaming.scripted_sessions import Desk


@pytest.fixture
def served() -> Mapping[str, ServedGlossary]:
    """What a server of tests serves: the tones."""
    return {"tones": tone_glossary()}


@pytest.fixture
def desk() -> Desk:
    """A fresh desk."""
    return Desk()
