"""Records of which a large glossary has a million: immutable to the type checker, and cheap to make.

`dataclass(frozen=True)` guards each field while a program runs, and takes five times as long to make one for it.
"""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

Record = TypeVar("Record")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[Record]) -> type[Record]:
    """A dataclass with slots whose fields nobody may set, as mypy sees to; equal and hashed by its fields."""
    return dataclass(slots=True, unsafe_hash=True)(cls)


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(field,))
def unique_record(cls: type[Record]) -> type[Record]:
    """The same, equal to nothing but itself."""
    return dataclass(slots=True, eq=False)(cls)
