"""Composition: loaded model and index -> pipeline -> the session of one stream.

One model serves every stream, and an index is immutable and shared too; scorer, detector and pipeline belong to one
stream. `listen` drives the same session as the server does, so that both say the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from app.loaded_model import Model
from streaming.audio import AudioFormat
from streaming.calibration import PROFILES
from streaming.decision_config import DecisionConfig
from streaming.errors import SettingError
from streaming.events import SAMPLE_RATE
from streaming.false_hint_budget import FalseHintBudget
from streaming.index.entry_register import EntryRegister
from streaming.index.layered_index import LayeredIndex
from streaming.index.searched_index import SearchedIndex
from streaming.model_folder import ModelFolder
from streaming.pipeline import Pipeline
from streaming.pipeline_config import HOP_MS, PipelineConfig
from streaming.protocol import Limits
from streaming.scoring import TermScorer
from streaming.session import ServedGlossary, Session, SessionSettings
from streaming.sessions.catalogue import Catalogue
from streaming.spotting.scoring_config import ScoringConfig
from streaming.term_index import TermIndex
from streaming.vad import WebRtcDetector

SOURCE_LANG = "en"
# One stream per process, so its name need not tell it from others; a fixed one keeps two runs equal.
LOCAL_SESSION = "local"


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What the user asked for: `threshold` beats `false_hints_per_hour` beats `profile`."""

    profile: str
    false_hints_per_hour: float | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class OpenGlossary:
    """An index under the name by which listeners know it."""

    id: str
    index: TermIndex

    @property
    def target_langs(self) -> tuple[str, ...]:
        """Codes of the translations in the order of the glossary; "" where the language is not named."""
        return self.index.target_langs


@dataclass(frozen=True, slots=True)
class LayeredGlossary:
    """Several indexes as one, under all their names, as in "mine,shared"; the first wins."""

    id: str
    index: LayeredIndex

    @property
    def target_langs(self) -> tuple[str, ...]:
        """Codes of the translations of all layers."""
        return self.index.target_langs


AnyGlossary: TypeAlias = OpenGlossary | LayeredGlossary


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedGlossary(ServedGlossary):
    """A served glossary with the index behind it, so that others can be laid over it."""

    index: SearchedIndex


@dataclass(frozen=True, slots=True)
class Told:
    """Which messages a listener wants: translations in `target_lang`, and which kinds of event."""

    target_lang: str | None
    vad_events: bool
    abstentions: bool


def decision_of(folder: ModelFolder, sensitivity: Sensitivity, entries: int) -> DecisionConfig:
    """When a candidate becomes a hint, for a glossary of that many entries."""
    if sensitivity.threshold is not None:
        return DecisionConfig(threshold=sensitivity.threshold)
    per_hour = sensitivity.false_hints_per_hour or PROFILES[sensitivity.profile]
    budget = FalseHintBudget(per_hour, folder.calibration.curve(entries))
    return DecisionConfig(threshold=folder.calibration.threshold(per_hour, entries), budget=budget)


def make_pipeline(
    model: Model,
    index: SearchedIndex,
    decision: DecisionConfig,
    audio_format: AudioFormat,
    *,
    interim_hints: bool = False,
) -> Pipeline:
    """A pipeline for one stream of that format."""
    config = PipelineConfig(
        decision=decision,
        format=audio_format,
        hop_ms=model.hop_ms,
        context_ms=model.folder.spec.context_samples * 1000 // SAMPLE_RATE,
        interim_hints=interim_hints,
    )
    scorer = make_scorer(model, index, interim_hints=interim_hints)
    return Pipeline(model.frames, index, scorer, WebRtcDetector(), config, model.clock)


def make_scorer(model: Model, index: SearchedIndex, *, interim_hints: bool = False) -> TermScorer:
    """A scorer for one stream over that index."""
    config = ScoringConfig(tells_tentative=interim_hints)
    if model.hop_ms < HOP_MS:
        # Who asks for hints at once does not want them to wait.
        config = replace(config, second_look_frames=0)
    return TermScorer(
        index, model.spans, model.folder.calibration, config, model.competition, model.verifier, model.tables
    )


def serve_glossary(
    model: Model, glossary: AnyGlossary, sensitivities: Iterable[Sensitivity] = tuple(map(Sensitivity, PROFILES))
) -> IndexedGlossary:
    """A glossary as sessions open it, with the thresholds of each profile for its size."""
    index = glossary.index
    hidden = len(index.hidden) if isinstance(index, LayeredIndex) else 0
    return _served(model, index, len(index.entries) - hidden, None, sensitivities)


def serve_layers(model: Model, layers: Sequence[ServedGlossary]) -> IndexedGlossary:
    """Several glossaries as one; where two have the same term, the first one's counts."""
    indexed = [layer for layer in layers if isinstance(layer, IndexedGlossary)]
    index = LayeredIndex([layer.index for layer in indexed])
    register = EntryRegister.layered([layer.register for layer in indexed], index.hidden)
    return _served(model, index, len(index.entries) - len(index.hidden), register)


def catalogue_of(model: Model, glossaries: Mapping[str, OpenGlossary]) -> Catalogue:
    """What a server serves: each of the glossaries, and any of them in layers."""
    served = {name: serve_glossary(model, each) for name, each in glossaries.items()}
    return Catalogue(served, lambda layers: serve_layers(model, layers))


def _served(
    model: Model,
    index: SearchedIndex,
    terms: int,
    register: EntryRegister | None = None,
    sensitivities: Iterable[Sensitivity] = tuple(map(Sensitivity, PROFILES)),
) -> IndexedGlossary:
    return IndexedGlossary(
        version=index.version,
        terms=terms,
        profiles={each.profile: decision_of(model.folder, each, terms) for each in sensitivities},
        open=lambda settings: make_pipeline(
            model, index, settings.decision, settings.format, interim_hints=settings.interim_hints
        ),
        take_over=lambda pipeline: pipeline.replace_index(
            index, make_scorer(model, index, interim_hints=pipeline.tells_interim)
        ),
        register=EntryRegister(index.entries) if register is None else register,
        source_lang=SOURCE_LANG,
        target_langs=index.target_langs,
        index=index,
    )


def by_id(glossaries: Iterable[OpenGlossary]) -> dict[str, OpenGlossary]:
    """Glossaries under their ids. Raises SettingError where two have the same."""
    named: dict[str, OpenGlossary] = {}
    for glossary in glossaries:
        if glossary.id in named:
            raise SettingError(
                f"two glossaries are called {glossary.id!r}; rename one file, or publish it as another id."
            )
        named[glossary.id] = glossary
    return named


def choose_target_lang(glossary: AnyGlossary, asked: str | None) -> str | None:
    """The language to show: the one asked for, else the glossary's first. Raises SettingError if it has no such."""
    langs = glossary.target_langs
    if asked is not None and asked not in langs and "" not in langs:
        there = ", ".join(langs) or "none"
        raise SettingError(f"glossary {glossary.id} has no translations into {asked!r}; it has: {there}.")
    return asked if asked is not None else next(iter(langs), None)


def local_session(
    model: Model,
    glossary: AnyGlossary,
    sensitivity: Sensitivity,
    told: Told,
    audio_format: AudioFormat,
    catalogue: Catalogue | None = None,
) -> Session:
    """The session of one local stream, which finds new versions of its glossary in `catalogue`."""
    served = serve_glossary(model, glossary, [sensitivity]) if catalogue is None else catalogue[glossary.id]
    settings = SessionSettings(
        glossary=glossary.id,
        format=audio_format,
        profile=sensitivity.profile,
        decision=served.profiles[sensitivity.profile],
        source_lang=SOURCE_LANG,
        target_lang=told.target_lang,
        vad_events=told.vad_events,
        abstain_events=told.abstentions,
    )
    return Session(LOCAL_SESSION, settings, served, served.open(settings), Limits(), catalogue)
