"""What a reader must know of an evaluation before its figures are believed."""

from training.evaluation.evaluate import Evaluation

_ENOUGH_NO_TERM_ROWS = 20


def caveats(found: Evaluation) -> list[str]:
    """What a reader of the figures must know: a recall that no threshold leaves, shares of a handful of rows."""
    told = []
    for result in found.results:
        asked, is_reached = result.scores.get("threshold_recall_asked"), result.scores.get("threshold_recall_reached")
        if result.scores.get("threshold") is not None and not is_reached:
            told.append(
                f"in the bank of {result.ranking.entries:,} terms a recall of {asked} cannot be reached: even without "
                "a threshold fewer terms are among the first ten; its threshold lets all of those through, and no "
                "rejection rate is given"
            )
    silent = int(found.scores.get("no_term_rows") or 0)
    if 0 < silent < _ENOUGH_NO_TERM_ROWS:
        rows = "1 row" if silent == 1 else f"{silent} rows"
        told.append(
            f"rejection_rate and auroc_term_no_term rest on {rows} without a term; fewer than {_ENOUGH_NO_TERM_ROWS} "
            "say little"
        )
    return told
