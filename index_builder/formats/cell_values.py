"""What stands in one cell: several values, yes or no, a probability."""

import json
import re
from collections.abc import Sequence

_YES = frozenset("1 1.0 true yes y x ja j wahr oui si sì sí ✓ ✔ 是".split())
_NO = frozenset("0 0.0 false no n nein falsch non - – ✗ 否".split())
_NUMBER = re.compile(r"\d{0,9}(?:[.,]\d{1,40})?(?:e-?\d{1,3})?")


def split_list(cell: str) -> tuple[str, ...]:
    """Several values in one cell: a JSON list of texts; else parted by ";" or "|", else by ","."""
    if (listed := _json_list(cell)) is not None:
        return listed
    separator = r"[;|]" if re.search(r"[;|]", cell) else ","
    return tuple(part.strip() for part in re.split(separator, cell) if part.strip())


def split_pronunciations(cell: str) -> tuple[str, ...]:
    """Several pronunciations in one cell: a JSON list of texts, else parted by "/"."""
    if (listed := _json_list(cell)) is not None:
        return listed
    return tuple(part.strip() for part in cell.split("/") if part.strip())


def join_list(values: Sequence[str]) -> str:
    """The cell that `split_list` reads as `values`: parted by "; ", or a JSON list where one holds a separator."""
    for cell in ("; ".join(values), "; ".join(values) + ";"):
        if split_list(cell) == tuple(values):
            return cell
    return json.dumps(list(values), ensure_ascii=False)


def join_pronunciations(values: Sequence[str]) -> str:
    """The cell that `split_pronunciations` reads as `values`."""
    cell = " / ".join(values)
    return cell if split_pronunciations(cell) == tuple(values) else json.dumps(list(values), ensure_ascii=False)


def yes_or_no(cell: str) -> bool | None:
    """Whether a cell says yes; None where it says neither. An empty cell says no."""
    word = cell.strip().lower()
    if word in _YES:
        return True
    return False if not word or word in _NO else None


def probability(cell: str) -> float | None:
    """A number from 0 to 1, with a point or a comma, or a percentage; None for anything else."""
    written = cell.strip().lower()
    number = written.removesuffix("%").strip()
    if not number or _NUMBER.fullmatch(number) is None or not number[:1].isdigit():
        return None
    value = float(number.replace(",", ".")) / (100 if written.endswith("%") else 1)
    return value if 0 <= value <= 1 else None


def _json_list(cell: str) -> tuple[str, ...] | None:
    """The texts of a cell that is a JSON list of texts, which is how our own tables write what holds a separator."""
    if not (cell.startswith("[") and cell.endswith("]")):
        return None
    try:
        listed = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        return None
    return tuple(text for each in listed if (text := each.strip()))
