"""Where built indexes live: immutable versions with a CURRENT pointer, and a cache for bare files.

`<data_dir>/glossaries/<id>/versions/<stamp>-<hash>/` and `<data_dir>/glossaries/<id>/CURRENT`, one line.
"""

from index_builder.publish.canaries import check_canaries
from index_builder.publish.index_cache import MAX_CACHED, Build, CachedIndex, cached_index, cached_version
from index_builder.publish.lock import sole_publisher
from index_builder.publish.names import check_id, content_key, is_same_content, version_name
from index_builder.publish.prune import Pruned, prune
from index_builder.publish.publishing import publish, publish_in
from index_builder.publish.rollback import Switch, roll_back
from index_builder.publish.versions import (
    current,
    load_current,
    load_entries,
    load_report,
    load_version,
    published,
    version_folder,
    versions,
)

__all__ = [
    "MAX_CACHED",
    "Build",
    "CachedIndex",
    "Pruned",
    "Switch",
    "cached_index",
    "cached_version",
    "check_canaries",
    "check_id",
    "content_key",
    "current",
    "is_same_content",
    "load_current",
    "load_entries",
    "load_report",
    "load_version",
    "prune",
    "publish",
    "publish_in",
    "published",
    "roll_back",
    "sole_publisher",
    "version_folder",
    "version_name",
    "versions",
]
