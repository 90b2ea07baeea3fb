"""The self-test of an index: synthesised speech through the real pipeline."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.loaded_model import Model
from app.progress import progress_bar
from app.wiring import Sensitivity, decision_of, make_pipeline
from index_builder.self_test import (
    Said,
    SelfTest,
    Utterance,
    expected_false_hints,
    hinted_unsaid,
    judge,
    plan,
    seconds_of,
)
from streaming.audio import AudioFormat, float_to_pcm16
from streaming.calibration import PROFILES
from streaming.events import SAMPLE_RATE, Hint
from streaming.term_index import TermIndex

TRIES = 3
_PROFILE = "booth"
_PROGRAM = "espeak-ng"
_PAUSE = np.zeros(SAMPLE_RATE // 2, np.float32)
_LEVEL = np.float32(0.1)


def self_test(model: Model, index: TermIndex, most: int) -> SelfTest:
    """Say at most `most` entries `TRIES` times each with the voices of eSpeak NG, and listen.

    Raises:
        SynthesisError: the synthesiser is not installed, or fails.
    """
    from training.speech.carriers import CARRIERS
    from training.speech.speech_commands import VOICES, speak

    voices = [command for command in VOICES.values() if command.program == _PROGRAM]
    voices[0].require()
    entries = len(index.entries)
    utterances = plan(index.forms, entries, most=most, tries=TRIES, carriers=CARRIERS, voices=len(voices))
    pipeline = make_pipeline(model, index, decision_of(model.folder, Sensitivity(_PROFILE), entries), AudioFormat())
    said: list[Said] = []
    hints: list[Hint] = []
    with progress_bar("self-test") as progress:
        for done, utterance in enumerate(utterances, 1):
            audio = _levelled(speak(voices[utterance.voice], utterance.text))
            said.append(_after(said, utterance, len(audio)))
            hints += [event for event in pipeline.feed(float_to_pcm16(audio)) if isinstance(event, Hint)]
            progress(done, len(utterances))
    hints += [event for event in pipeline.finish() if isinstance(event, Hint)]
    expected = expected_false_hints(index.forms, index.background, entries, PROFILES[_PROFILE])
    entry_ids = [entry.entry_id for entry in index.entries]
    results, false_hints = judge(said, hints, entry_ids, expected)
    return SelfTest(
        profile=_PROFILE,
        glossary_entries=entries,
        seconds=round(seconds_of(said), 3),
        voices=tuple(command.voice for command in voices),
        false_hints=false_hints,
        false_hints_per_hour=PROFILES[_PROFILE],
        entries=results,
        hinted_unsaid=hinted_unsaid(said, hints, entry_ids),
    )


def _levelled(speech: NDArray[np.float32]) -> NDArray[np.float32]:
    """Speech at the level of a talk, and half a second of silence."""
    power = np.sqrt(np.mean(np.square(speech))) + np.float32(1e-6)
    return np.concatenate([np.clip(speech * (_LEVEL / power), -1.0, 1.0), _PAUSE]).astype(np.float32)


def _after(said: Sequence[Said], utterance: Utterance, samples: int) -> Said:
    start = said[-1].end if said else 0
    return Said(utterance, start, start + samples)
