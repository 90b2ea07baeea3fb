"""What our TBX says beyond the standard's data categories, so that every field of an entry comes back.

They stand as `admin` and `termNote` types of their own, which other tools keep or ignore (ISO 30042, 2019: dialects).
"""

ENTRY_ID = "x-termcue-entryId"
"""An entry id that cannot be the XML id of its concept."""
SOURCE_LANG = "x-termcue-sourceLanguage"
"""The language whose terms are listened for."""
DO_NOT_HINT = "x-termcue-doNotHint"
MINIMUM_PROBABILITY = "x-termcue-minimumProbability"
ARPABET = "x-termcue-arpabet"
"""A pronunciation of the entry, with its first term."""
ROLE = "x-termcue-role"
TRANSLATION_ROLE = "translation"
"""The role of a section of the source language that holds a translation."""
NO_LANGUAGE = "und"
"""The code of a translation whose language is not named (ISO 639-2)."""
