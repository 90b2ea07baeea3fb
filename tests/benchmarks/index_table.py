"""What was measured of the index of one glossary, and the table of several."""

from dataclasses import dataclass

_HEAD = (
    "terms | forms | search | build s | of it embedding s | extrapolated s | rebuild s | allowed s | folder MB | "
    "load s | hop ms | recall@10 | promised | peak MB"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One size. Seconds of the wall, then of the processor; None where a size has no such thing.

    `build` and `rebuild` are measured. `extrapolated` is what the text tower and the statistics would have added to a
    build whose vectors and statistics were drawn.
    """

    terms: int
    forms: int
    drawn: bool
    search: str
    build: tuple[float, float]
    embed: tuple[float, float] | None
    extrapolated: tuple[float, float] | None
    rebuild: tuple[float, float]
    folder_mb: float
    load: tuple[float, float]
    hop_ms: tuple[float, float]
    recall: float
    promised_recall: float
    peak_mb: float

    @property
    def allowed(self) -> tuple[float, float]:
        """For the rebuild: a twentieth of the whole build, extrapolated part included, and 2 s."""
        more = self.extrapolated or (0.0, 0.0)
        return 0.05 * (self.build[0] + more[0]) + 2, 0.05 * (self.build[1] + more[1]) + 2


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table, times as wall (processor)."""
    lines = [f"| {_HEAD} |", "|" + "---|" * (_HEAD.count("|") + 1)]
    for row in rows:
        cells = (
            f"{row.terms:,}{' drawn' if row.drawn else ''}",
            f"{row.forms:,}",
            row.search,
            _both(row.build),
            _both(row.embed),
            _both(row.extrapolated),
            _both(row.rebuild),
            _both(row.allowed),
            f"{row.folder_mb:.1f}",
            _both(row.load, 2),
            _both(row.hop_ms),
            f"{row.recall:.4f}",
            f"{row.promised_recall:.4f}",
            f"{row.peak_mb:.0f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _both(seconds: tuple[float, float] | None, digits: int = 1) -> str:
    return "–" if seconds is None else f"{seconds[0]:.{digits}f} ({seconds[1]:.{digits}f})"
