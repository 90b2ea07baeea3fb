import hashlib
import hmac
from pathlib import Path

import pytest

from streaming.errors import SettingError
from streaming.server.api_keys import ApiKeys, presented_key


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def test_only_keys_whose_digest_is_listed_are_accepted(tmp_path: Path) -> None:
    """A file of digests, as sha256sum prints them, with names and remarks, lets in exactly these keys."""
    path = tmp_path / "keys"
    path.write_text(f"# booth\n{_digest('one')}  -\n\n{_digest('two').upper()} Anna's laptop\n")
    keys = ApiKeys.load(path)
    assert keys.accepts("one")
    assert keys.accepts("two")
    assert not keys.accepts("three")
    assert not keys.accepts("")
    assert not keys.accepts(_digest("one"))
    assert not keys.accepts("\udcff")


def test_every_digest_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """No comparison is skipped after a match, and each is `hmac.compare_digest`."""
    compared: list[bool] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one == other)
        return compared[-1]

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert ApiKeys([_digest("one"), _digest("two"), _digest("three")]).accepts("one")
    assert compared == [True, False, False]


@pytest.mark.parametrize("text", ["", "# nobody\n", "hunter2\n", "ab" * 31 + "\n"])
def test_a_file_without_proper_digests_is_refused(tmp_path: Path, text: str) -> None:
    """The refusal names the file and the cure and never repeats what may be a key."""
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(SettingError, match="sha256sum") as refused:
        ApiKeys.load(path)
    assert str(path) in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file and one that is no text are told apart from a wrong digest."""
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    for path in (tmp_path / "missing", tmp_path, binary):
        with pytest.raises(SettingError, match=f"{path} cannot be read.*sha256sum") as refused:
            ApiKeys.load(path)
        assert "Errno" not in str(refused.value)


@pytest.mark.parametrize(
    ("authorizations", "subprotocols", "key"),
    [
        (["Bearer k1"], [], "k1"),
        (["token k1"], [], "k1"),
        (["Basic k1"], [], None),
        (["Bearer "], [], None),
        (["Bearer k1", "Bearer k2"], [], None),
        ([], ["token", "k2"], "k2"),
        (["Bearer k1"], ["token", "k2"], "k1"),
        ([], ["token"], None),
        ([], ["chat", "k2"], None),
        ([], [], None),
    ],
)
def test_a_key_is_taken_from_header_or_subprotocol(
    authorizations: list[str], subprotocols: list[str], key: str | None
) -> None:
    """The header comes first; two headers are none."""
    assert presented_key(authorizations, subprotocols) == key
