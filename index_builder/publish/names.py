"""The names that become folders: glossary ids and versions, and nothing that could leave their place."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from index_builder.formats.source import GlossaryFile
from streaming.errors import SettingError
from streaming.index.index_folder import SCHEMA_VERSION

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_VERSION = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{12}")


def check_id(glossary_id: str) -> str:
    """`glossary_id` itself, if it may name a folder.

    Raises:
        SettingError: it holds anything but a-z, 0-9, ".", "_" and "-", begins with a sign, or holds "..".
    """
    if not _ID.fullmatch(glossary_id) or ".." in glossary_id:
        raise SettingError(
            f"the glossary id {glossary_id!r} cannot be used: take 1 to 100 of a-z, 0-9, '.', '_' and '-', beginning "
            f"with a letter or digit, without '..'"
        )
    return glossary_id


def is_version(name: str) -> bool:
    """Whether `name` is that of a version."""
    return _VERSION.fullmatch(name) is not None


def begins_version(text: str) -> bool:
    """Whether the name of a version may begin with `text`."""
    example = "00000000T000000Z-000000000000"
    return bool(text) and is_version(text + example[len(text) :])


def check_version(name: str) -> str:
    """`name` itself, if it is that of a version. Raises SettingError."""
    if not is_version(name):
        raise SettingError(f"{name[:80]!r} is not a version name such as 20261014T091203Z-3fd1a2b4c5d6")
    return name


def content_key(files: Sequence[GlossaryFile], encoder_id: str, options: Mapping[str, str] | None = None) -> str:
    """32 hex digits that change with anything an index depends on: files, encoder, options, schema."""
    parts = [SCHEMA_VERSION, encoder_id, sorted((options or {}).items()), [[f.path.name, f.sha256] for f in files]]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def is_same_content(version: str, other: str) -> bool:
    """Whether two versions were built from the same content, at whatever time."""
    return version.rpartition("-")[2] == other.rpartition("-")[2]


def version_name(now: datetime, key: str) -> str:
    """The version of an index built at `now` (with a time zone) from the content `key`; later ones sort higher."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{key[:12]}"
