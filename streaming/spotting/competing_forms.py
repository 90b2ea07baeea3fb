"""The forms found in one hop against common words, and against each other."""

from collections.abc import Sequence

import numpy as np

from streaming.encoding.encoded_context import EncodedContext
from streaming.index.searched_index import SearchedIndex
from streaming.spotting.evidence import MOST_NATS, MOST_NATS_OVER_NEIGHBOUR, Evidence
from streaming.words.competition import Competition
from streaming.words.readings import REACH
from streaming.words.rivals import Heard

# A term lies within so many frames before and after where its symbols alone place it.
_REACH_BEFORE, _REACH_AFTER = 25, 20
# Two forms of which both cannot have been said share more than this part of their union.
_SAME_STRETCH_IOU = 0.5
# A form lies within another that has more than this part of its stretch.
_WITHIN = 0.8


class CompetingForms:
    """The competition in one stream over one index."""

    def __init__(self, competition: Competition, index: SearchedIndex, floor: float) -> None:
        """Begin a stream; a form whose mean score lies under `floor` has lost."""
        self._competition, self._index, self._floor = competition, index, floor
        self._rivals = competition.open()

    @property
    def nbytes(self) -> int:
        """Memory of the words that are carried on."""
        return self._rivals.nbytes

    def reset(self) -> None:
        """Forget the stream."""
        self._rivals.reset()

    def compete(self, encoded: EncodedContext, found: Sequence[Evidence], first_frame: int, first_end: int) -> None:
        """Add what each form's best reading of the context has over those of rivals and of the other forms.

        And how well its words go with those around, and how common they are: without that, a rival pays for being rare
        and for standing beside words that it hardly ever stands beside, and a term pays nothing.

        The context begins at frame `first_frame` of the stream; forms end from its row `first_end` on.
        """
        for evidence in found:
            # What a form has that fits too badly to compete. Of one without pronunciations it is not known.
            evidence.features["over_rivals"] = 0.0 if evidence.mean > self._floor else -MOST_NATS / 2
        self._rivals.carry(encoded, first_frame)
        strong = [e for e in found if e.mean > self._floor and self._index.forms[e.form_index].said]
        if not strong:
            return
        back_to = max(0, min(e.start for e in strong) - _REACH_BEFORE - REACH)
        heard = self._rivals.hear(encoded, first_frame, back_to)
        readings = [self._read(heard, evidence, first_end) for evidence in strong]
        for one, own in zip(strong, readings, strict=True):
            pairs = [(other, own - reading) for other, reading in zip(strong, readings, strict=True)]
            apart = [lead for other, lead in pairs if self._exclude_each_other(one, other)]
            inside = [lead for other, lead in pairs if self._lies_within(one, other)]
            one.features["over_neighbour"] = _bounded(min(apart, default=MOST_NATS_OVER_NEIGHBOUR))
            one.features["over_covering"] = _bounded(min([0.0, *inside]))

    def _read(self, heard: Heard, evidence: Evidence, first_end: int) -> float:
        """Fill in what speaks for one form by itself; the score of its reading among the words around it."""
        form = self._index.forms[evidence.form_index]
        words = self._competition.words_of(form.text)
        near = (max(0, evidence.start - _REACH_BEFORE), evidence.end + _REACH_AFTER)
        ratio = self._competition.ratio(heard, form.pronunciations, words, near, first_end)
        evidence.features["over_rivals"] = float(np.clip(ratio.over_rivals, -MOST_NATS, MOST_NATS))
        if ratio.span is None:
            return ratio.reading
        fit = self._competition.fit_around(heard, ratio.span, words)
        evidence.features["fit_around"] = fit
        evidence.features["commonness"] = self._competition.commonness(words)
        return ratio.reading + fit

    def _exclude_each_other(self, one: Evidence, other: Evidence) -> bool:
        """Whether only one of two forms can have been said: another entry there, and neither is a part of the other."""
        shared, union = _shared(one, other), max(one.end, other.end) - min(one.start, other.start)
        return shared > _SAME_STRETCH_IOU * union and self._differ(one, other)

    def _lies_within(self, one: Evidence, other: Evidence) -> bool:
        """Whether most of a form's stretch is claimed by another, perhaps longer one ("today", "yesterday")."""
        return _shared(one, other) > _WITHIN * max(1, one.end - one.start) and self._differ(one, other)

    def _differ(self, one: Evidence, other: Evidence) -> bool:
        """Whether two forms are of different entries and neither is a part of the other."""
        forms = [self._index.forms[e.form_index] for e in (one, other)]
        shorter, longer = sorted((f" {form.text} " for form in forms), key=len)
        return forms[0].entry_index != forms[1].entry_index and shorter not in longer


def _shared(one: Evidence, other: Evidence) -> int:
    return min(one.end, other.end) - max(one.start, other.start)


def _bounded(nats: float) -> float:
    return float(np.clip(nats, -MOST_NATS_OVER_NEIGHBOUR, MOST_NATS_OVER_NEIGHBOUR))
