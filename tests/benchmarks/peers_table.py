"""The table of all peers. It imports nothing large: the parent of the measured processes prints it."""

from collections.abc import Sequence
from typing import Any

COLUMNS = (
    ("peer", "peer", "<15", ""),
    ("stream", "stream", "<11", ""),
    ("entries", "entries", ">7", ""),
    ("minutes", "min", ">6", ".1f"),
    ("recall", "recall", ">8", ".3f"),
    ("precision", "precision", ">11", ".3f"),
    ("false_per_hour", "false/h", ">9", ".1f"),
    ("latency_p50", "p50 s", ">7", ".2f"),
    ("latency_p95", "p95 s", ">7", ".2f"),
    ("computed_p50", "p50+c", ">7", ".2f"),
    ("computed_p95", "p95+c", ">7", ".2f"),
    ("cpu_per_s", "CPU s/s", ">9", ".3f"),
    ("units_per_s", "U/s", ">6", ".2f"),
    ("peak_mb", "MB", ">6", ".0f"),
)


def header() -> str:
    """The line above the table."""
    return "".join(f"{title:{width}}" for _, title, width, _ in COLUMNS)


def line(row: dict[str, Any]) -> str:
    """One row as fixed-width text, its note below it."""
    cells = (f"{'–' if row.get(name) is None else format(row[name], form):{width}}" for name, _, width, form in COLUMNS)
    return "".join(cells) + (f"\n    {row['note']}" if row.get("note") else "")


def unit_line(rows: Sequence[dict[str, Any]]) -> str:
    """U over all rows that measured it; empty without one."""
    units = sorted(row["unit_ms"] for row in rows if row.get("unit_ms") is not None)
    if not units:
        return ""
    middle = units[len(units) // 2]
    return f"U = {middle:.1f} ms ({units[0]:.1f} to {units[-1]:.1f}): the encoder for one hop of 0.32 s, one core"
