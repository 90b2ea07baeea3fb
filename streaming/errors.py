"""One base class and one class per kind of cause.

TermCueError
├── AudioError          a sample, a file or a format that cannot be streamed
├── ModelError          a model folder that cannot be used
├── IndexFolderError    an index folder that cannot be used
├── GlossaryError       a glossary that holds nothing usable
├── SettingError        a setting out of its range
├── WireError           a message that breaks the wire protocol
└── RecordingError      a session that cannot be recorded, or not be replayed
"""


class TermCueError(Exception):
    """Base of every error a user can cure; the message carries the value and the cure."""


class AudioError(TermCueError):
    """Audio that cannot be read or streamed."""


class ModelError(TermCueError):
    """A model folder that is missing, damaged or of another kind."""


class IndexFolderError(TermCueError):
    """An index folder that is missing, damaged or built by another encoder."""


class GlossaryError(TermCueError):
    """A glossary that cannot be read or holds no usable term."""


class SettingError(TermCueError):
    """A setting out of its range."""


class WireError(TermCueError):
    """A message that breaks the wire protocol."""


class RecordingError(TermCueError):
    """A session that cannot be recorded, or a recorded one that cannot be replayed."""
