from collections.abc import Mapping

import pytest

from streaming.session import ServedGlossary
from streaming.testing import tone_glossary


@pytest.fixture
def served() -> Mapping[str, ServedGlossary]:
    """What a server of tests serves: the tones."""
    return {"tones": tone_glossary()}
