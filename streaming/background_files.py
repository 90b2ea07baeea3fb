"""Files that grow on a thread of their own, so that who writes them never waits for the disk."""

import os
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from streaming.errors import SettingError

# A WAV file counts its bytes in 32 bits.
_MOST_BYTES = 0xFFFF_0000


@dataclass(frozen=True, slots=True, kw_only=True)
class FileBounds:
    """How much may be written; raises SettingError for a value out of its range.

    Attributes:
        max_bytes: on disk, all files together; nine hours of speech at 16 kHz have 1 GiB.
        max_waiting_bytes: that the disk may be behind.
        close_timeout_s: how long `close` waits for the disk.
    """

    max_bytes: int = 1 << 30
    max_waiting_bytes: int = 8 << 20
    close_timeout_s: float = 5.0

    def __post_init__(self) -> None:
        if not 1 <= self.max_bytes <= _MOST_BYTES:
            raise SettingError(f"max_bytes = {self.max_bytes} is out of range: give 1..{_MOST_BYTES}")
        if self.max_waiting_bytes < 1:
            raise SettingError(f"max_waiting_bytes = {self.max_waiting_bytes} would write nothing: give at least 1")


class BackgroundFiles:
    """New files of one folder, readable by their owner alone, to which bytes are added in order.

    Construction raises OSError where they cannot be made, RuntimeError where no thread can be started. Not safe for
    concurrent use.

    Attributes:
        folder: where they are.
        failed: why nothing more is written; None as long as all is well. It stays once it is set.
        is_idle: whether all that was put has been given to the system.
    """

    def __init__(self, folder: Path, names: Sequence[str], bounds: FileBounds) -> None:
        self.folder = folder
        self.failed: str | None = None
        self._bounds = bounds
        self._accepted_bytes = 0
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._waiting_bytes = 0
        self._is_over = False
        self.is_idle = False
        self._heads: Mapping[str, bytes] = {}
        self._changed = threading.Condition()
        self._files: dict[str, BinaryIO] = {}
        try:
            for name in names:
                self._files[name] = _open_new(folder / name)
            self._thread = threading.Thread(target=self._run, name=f"files of {folder.name}", daemon=True)
            self._thread.start()
        except (OSError, RuntimeError):
            self._close_files()
            raise

    def put(self, name: str, content: bytes) -> bool:
        """Add bytes to a file, sooner or later; whether they were accepted."""
        bounds = self._bounds
        with self._changed:
            if self.failed is not None or self._is_over:
                return False
            if self._accepted_bytes + len(content) > bounds.max_bytes:
                self.failed = f"it would be larger than {bounds.max_bytes} bytes"
                return False
            if self._waiting_bytes + len(content) > bounds.max_waiting_bytes:
                self.failed = f"the disk is {self._waiting_bytes} bytes behind"
                return False
            self._waiting.append((name, content))
            self._waiting_bytes += len(content)
            self._accepted_bytes += len(content)
            self.is_idle = False
            self._changed.notify_all()
            return True

    def close(self, heads: Mapping[str, bytes]) -> None:
        """Write what waits, replace the first bytes of each file by its `heads`, and close, if the disk lets us."""
        with self._changed:
            if not self._is_over:
                self._is_over, self._heads = True, heads
            self._changed.notify_all()
        self._thread.join(self._bounds.close_timeout_s)

    def _run(self) -> None:
        try:
            while batch := self._next_batch():
                for name, content in batch:
                    self._files[name].write(content)
                for name in dict.fromkeys(name for name, _ in batch):
                    self._files[name].flush()
            for name, head in self._heads.items():
                self._files[name].seek(0)
                self._files[name].write(head)
                self._files[name].flush()
        except OSError as error:
            with self._changed:
                self.failed = error.strerror or str(error)
                self._waiting.clear()
        finally:
            self._close_files()

    def _next_batch(self) -> list[tuple[str, bytes]]:
        """What waits, as soon as something does; nothing when all is over."""
        with self._changed:
            self.is_idle = not self._waiting
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._is_over)
            batch = list(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0
            return batch

    def _close_files(self) -> None:
        for stream in self._files.values():
            # What a full disk did not take at a write it will not take here either.
            with suppress(OSError):
                stream.close()


def _open_new(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
