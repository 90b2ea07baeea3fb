"""What the author of a glossary should look at before the talk: findings about entries, each with its cure.

Pure: how often a word is said and how forms sound is given. Rejected rows are not here but in `Glossary.rejected`.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from index_builder.formats.rows import GlossaryWarning, shorten
from index_builder.glossary import Glossary, GlossaryEntry
from index_builder.lint_sound import MAX_COMPARED, Pair, Sounds, are_compared, pairs_alike

WordLogProb: TypeAlias = Callable[[str], float]
"""A lower-case word -> natural logarithm of its share of all words that are said; minus infinity where unknown."""
WORDS_PER_HOUR = 9_000
"""150 words a minute, as of talks."""
EVERYDAY_PER_HOUR = 2.0


def lint(glossary: Glossary, log_prob: WordLogProb, sounds: Sounds | None = None) -> tuple[GlossaryWarning, ...]:
    """All findings of a glossary: those of its reading, then the others, entry by entry.

    Args:
        glossary: entries, whose `warnings` come first.
        log_prob: how often words are said.
        sounds: the spoken forms in the order of the entries; None where they were not pronounced and embedded.
    """
    findings = [*glossary.warnings, *missing_translations(glossary), *everyday_words(glossary.entries, log_prob)]
    if sounds is not None:
        findings += sound_alikes(glossary.entries, sounds)
    return tuple(findings)


def missing_translations(glossary: Glossary) -> Iterator[GlossaryWarning]:
    """Entries without a translation that others have; a glossary without any translations is meant so."""
    expected = glossary.target_langs
    for each in glossary.entries:
        lacking = [code for code in expected if code not in each.entry.translations]
        if lacking and not each.entry.do_not_hint:
            into = f" into {', '.join(filter(None, lacking))}" if any(lacking) else ""
            message = f"{shorten(each.entry.term)!r} has no translation{into}"
            yield GlossaryWarning(each.entry.entry_id, "missing_translation", message)


def everyday_words(entries: Sequence[GlossaryEntry], log_prob: WordLogProb) -> Iterator[GlossaryWarning]:
    """Terms and aliases of one word that everybody says, whatever the talk is about."""
    for each in entries:
        for form in each.forms:
            if form.kind not in ("term", "alias") or " " in form.text or each.entry.do_not_hint:
                continue
            per_hour = WORDS_PER_HOUR * math.exp(log_prob(form.text))
            if per_hour >= EVERYDAY_PER_HOUR:
                message = (
                    f"{form.text!r} is an everyday word: in an hour of any talk it is said about {per_hour:.0f} times, "
                    f"and each time gives a hint; use the words that stand around it in this field"
                )
                yield GlossaryWarning(each.entry.entry_id, "everyday_word", message)


def sound_alikes(entries: Sequence[GlossaryEntry], sounds: Sounds) -> Iterator[GlossaryWarning]:
    """Entries that are taken for each other: homophones, and near-homophones with what tells them apart."""
    for pair in pairs_alike(sounds):
        first, second = sounds.forms[pair.first], sounds.forms[pair.second]
        owner, other = entries[first.entry_index].entry, entries[second.entry_index].entry
        both = f"{shorten(first.written or owner.term)!r} and {shorten(second.written or other.term)!r}"
        kind = "homophone" if pair.is_homophone else "near_homophone"
        yield GlossaryWarning(owner.entry_id, kind, f"{both} ({other.entry_id}) {_alike(pair)}")
    if not are_compared(sounds):
        message = f"more than {MAX_COMPARED} spoken forms are not compared for how alike they sound"
        yield GlossaryWarning("", "not_compared", message)


def findings_by_kind(warnings: Sequence[GlossaryWarning]) -> dict[str, int]:
    """How many findings there are of each kind, in the order of their first."""
    return dict(Counter(warning.kind for warning in warnings))


def _alike(pair: Pair) -> str:
    if pair.is_homophone:
        return "sound the same, so that either may be hinted for the other: make one entry of them, or longer terms"
    reasons = [
        *(["one sound differs"] if pair.sounds == 1 else []),
        *(["one letter differs"] if pair.letters == 1 else []),
        f"similarity {pair.similarity:.2f}",
    ]
    return f"sound alike ({', '.join(reasons)}): expect one to be hinted for the other now and then"
