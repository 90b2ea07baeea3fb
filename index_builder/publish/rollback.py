"""Rolling back: an older version becomes the current one again; nothing is removed."""

from dataclasses import dataclass
from pathlib import Path

from index_builder.publish.lock import sole_publisher
from index_builder.publish.publishing import make_current
from index_builder.publish.versions import current, version_folder, versions
from streaming.errors import IndexFolderError


@dataclass(frozen=True, slots=True)
class Switch:
    """What the pointer of a glossary was moved from and to."""

    old: str
    new: str


def roll_back(data_dir: Path, glossary_id: str, encoder_id: str, version: str | None = None) -> Switch:
    """Make an older version the current one, or any that is named.

    Args:
        data_dir: TermCue's data folder.
        glossary_id: the glossary.
        encoder_id: of the model that will search it.
        version: the one to take; None for the newest of those older than the current one.

    Raises:
        SettingError: the id or the version is no name.
        IndexFolderError: there is no such version, it cannot be used, or another process is publishing.
    """
    # Asked before the lock, which would make a folder for a glossary that is not there.
    version_folder(data_dir, glossary_id, version)
    with sole_publisher(data_dir, glossary_id):
        now = current(data_dir, glossary_id)
        if version is None:
            older = [name for name in versions(data_dir, glossary_id) if name < now.name]
            if not older:
                raise IndexFolderError(
                    f"the glossary {glossary_id!r} has no version older than {now.name}, the current one; name one: "
                    f"termcue glossaries show {glossary_id}"
                )
            version = older[-1]
        target = version_folder(data_dir, glossary_id, version)
        make_current(target, encoder_id)
    return Switch(now.name, target.name)
