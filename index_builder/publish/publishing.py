"""Publishing: a version is written whole, answers its canary queries, and only then becomes the current one."""

from pathlib import Path

from index_builder.publish.canaries import check_canaries
from index_builder.publish.lock import sole_publisher, unwritable
from index_builder.publish.names import check_version
from index_builder.publish.versions import POINTER, load_version
from index_builder.report import IndexReport
from streaming.durable import replace_file
from streaming.term_index import TermIndex


def publish(data_dir: Path, glossary_id: str, index: TermIndex, report: IndexReport) -> Path:
    """Write a version, ask it what it holds, and make it the current one.

    Args:
        data_dir: TermCue's data folder.
        glossary_id: under which streams ask for it.
        index: its `version` comes from `version_name`.
        report: kept beside it.

    Returns:
        The folder of the version.

    Raises:
        SettingError: the id or the version cannot name a folder.
        IndexFolderError: another process is publishing, the disk refuses, or what was written does not answer; CURRENT
            is then as it was.
    """
    with sole_publisher(data_dir, glossary_id) as home:
        return publish_in(home, index, report)


def publish_in(home: Path, index: TermIndex, report: IndexReport) -> Path:
    """As `publish`, for who is the sole publisher of the glossary's folder `home` already."""
    folder = home / "versions" / check_version(index.version)
    # The same content published twice within a second is the same version.
    if not folder.exists():
        index.save(folder, report.to_bytes())
    make_current(folder, index.encoder_id)
    return folder


def make_current(folder: Path, encoder_id: str) -> None:
    """Point to a version, after its hashes and canary queries pass. Call it as the sole publisher.

    Raises:
        IndexFolderError: it cannot be used by that encoder, or the disk refuses; CURRENT is then as it was.
    """
    check_canaries(load_version(folder, encoder_id), folder)
    home = folder.parent.parent
    try:
        replace_file(home / POINTER, f"{folder.name}\n".encode())
    except OSError as cause:
        raise unwritable(home, cause) from cause
