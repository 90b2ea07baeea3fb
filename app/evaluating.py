"""What `evaluate` and `calibrate` share: retrievers, term lists and long streams as the user names them."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.glossaries import GlossarySettings, id_of, open_glossary, read_glossaries
from app.places import Places
from app.progress import progress_bar
from app.training_extra import require_training
from index_builder.surface import spoken_forms
from streaming.durable import replace_file
from streaming.errors import SettingError
from streaming.model_folder import BUNDLED, ModelFolder
from streaming.term_index import TermIndex

if TYPE_CHECKING:
    from streaming.encoding.providers import Provider
    from training.corpus.examples import Example
    from training.corpus.glossary import TrainingGlossary
    from training.evaluation.collect import LongStream
    from training.evaluation.encoders import RowEncoder
    from training.evaluation.evaluate import EvaluationTerms
    from training.evaluation.stream_evidence import StreamEvidence

_READ_AS_WRITTEN = (".json", ".txt")


@dataclass(frozen=True, slots=True)
class Speech:
    """A stream's JSON, or rows, and the glossaries it is heard with; none: those given for all."""

    path: Path
    glossaries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hearing:
    """With what streams are heard: glossaries (names or files) for those that name none, and where audio lies."""

    folder: ModelFolder
    glossaries: tuple[str, ...]
    audio: Path | None
    places: Places
    provider: "Provider" = "cpu"


def parse_speech(text: str) -> Speech:
    """PATH or PATH=GLOSSARY[,GLOSSARY…]."""
    path, _, glossaries = text.partition("=")
    if not path:
        raise SettingError(f"{text!r} names no file; write STREAM.json or STREAM.json=GLOSSARY[,GLOSSARY…]")
    return Speech(Path(path), tuple(filter(None, glossaries.split(","))))


def is_model_folder(path: Path) -> bool:
    """Whether a path is an exported model folder rather than a checkpoint."""
    return (path / "spec.json").exists()


def open_encoder(path: Path | None, provider: "Provider") -> "RowEncoder":
    """The towers of a model folder (the bundled one for None) or of a checkpoint."""
    if path is None or is_model_folder(path):
        from training.evaluation.onnx_encoder import OnnxEncoder

        return OnnxEncoder(ModelFolder.load(path or BUNDLED), _spell, provider=provider)
    if not path.exists():
        raise SettingError(f"there is no model {path}; {_instead_of(path)}")
    require_training("a checkpoint", "torch", "transformers", "peft")
    from training.evaluation.retriever import open_checkpoint

    return open_checkpoint(path, provider)


def _instead_of(path: Path) -> str:
    """The other checkpoints of a run that has not come to its last one, or what a model is."""
    stem = path.stem.removesuffix("_full").removesuffix("_single")
    folder = path.parent
    named = sorted(p.name for p in folder.iterdir() if p.name.startswith(f"{stem}_")) if folder.is_dir() else []
    beside = [name for name in named if Path(name).suffix == path.suffix and not name.endswith((".new", ".old"))]
    if not beside:
        return "name an exported folder or a checkpoint with --model"
    return f"a run writes it at its end; of this one there are already {', '.join(beside)} in {folder}"


def _spell(term: str) -> str:
    """The likeliest way in which a term is said, as the index spells it."""
    return next(iter(spoken_forms(term)), "")


def read_terms(glossary: Path, aliases: Path | None = None) -> "TrainingGlossary":
    """A glossary for training and evaluation: the seed's JSON, one term a line, or any table that reindex reads."""
    from training.corpus.glossary import TrainingGlossary, TrainingTerm, read_training_glossary

    if glossary.suffix in _READ_AS_WRITTEN:
        return read_training_glossary(glossary, aliases)
    _, parsed = read_glossaries([glossary], id_of(glossary), GlossarySettings(aliases=aliases))
    entries = [one.entry for one in parsed.entries]
    return TrainingGlossary(TrainingTerm(e.term, e.note, e.translations, e.aliases) for e in entries)


def read_rows(paths: Sequence[Path]) -> "list[Example]":
    """All rows of files and folders."""
    from training.corpus.rows import read_examples

    return list(read_examples(paths))


def hear(speech: Sequence[Speech], hearing: Hearing) -> "list[StreamEvidence]":
    """Every stream with each of its glossaries, its occurrences called as that glossary calls them.

    Raises:
        SettingError: a stream has no glossary, or none of the terms of a glossary is said in it.
        TermCueError: a file cannot be used.
    """
    from training.evaluation.collect import collect
    from training.evaluation.streams import in_its_terms

    evidence = []
    streams = [(stream, names) for one in speech for stream, names in _streams_of(one, hearing)]
    with progress_bar("streams") as bar:
        for done, (stream, names) in enumerate(streams):
            bar(done, len(streams))
            indexes = {name: _index(name, hearing) for name in names}
            for heard in collect(stream, hearing.folder, indexes):
                called = in_its_terms(heard)
                if not called.reference.occurrences:
                    raise SettingError(f"no term of {', '.join(names)} is said in {stream.name}; give its own glossary")
                evidence.append(called)
    return evidence


def _index(name: str, hearing: Hearing) -> TermIndex:
    return open_glossary(name, hearing.folder, hearing.places, hearing.provider).index


def _streams_of(one: Speech, hearing: Hearing) -> "Iterator[tuple[LongStream, tuple[str, ...]]]":
    from training.evaluation.streams import by_speaker, is_stream, join_examples, open_stream

    if one.path.is_dir():
        inside = [path for path in sorted(one.path.glob("*.json")) if is_stream(path)]
        if inside:
            for path in inside:
                yield from _streams_of(Speech(path, one.glossaries), hearing)
            return
    if is_stream(one.path):
        yield open_stream(one.path, hearing.audio), _glossaries(one, hearing)
        return
    for name, rows in by_speaker(read_rows([one.path]), one.path.stem).items():
        yield join_examples(name, rows), _glossaries(one, hearing)


def _glossaries(one: Speech, hearing: Hearing) -> tuple[str, ...]:
    """Those named with the stream, else for all streams, else the tables beside it (NAME.json, NAME.g300.csv)."""
    beside = tuple(str(path) for path in sorted(one.path.parent.glob(f"{one.path.stem}.*.csv")))
    found = one.glossaries or hearing.glossaries or beside
    if not found:
        raise SettingError(
            f"{one.path} has no glossary to be heard with; give --glossary, write {one.path}=GLOSSARY, "
            f"or put {one.path.stem}.NAME.csv beside it"
        )
    return found


def hearing_with(
    model: Path | None, glossaries: Sequence[str], audio: Path | None, data_dir: Path | None, provider: "Provider"
) -> Hearing:
    """Open the model folder that streams are heard with. Raises SettingError for a checkpoint."""
    if model is not None and model.exists() and not is_model_folder(model):
        raise SettingError(f"{model} is no exported folder, and only such a one hears streams; run: termcue export")
    return Hearing(ModelFolder.load(model or BUNDLED), tuple(glossaries), audio, Places.of(data_dir), provider)


def evaluation_terms(
    glossary: Path | None, aliases: Path | None, distractors: Path | None, training: Sequence[Path]
) -> "EvaluationTerms":
    """Everything that rows are searched among, and which entries training heard."""
    from training.corpus.keys import normal_form
    from training.corpus.rows import read_examples
    from training.evaluation.banks import PlainTerms, TermTexts
    from training.evaluation.evaluate import EvaluationTerms

    if aliases is not None and glossary is None:
        raise SettingError(f"--aliases {aliases} names other names of a glossary's terms; give the --glossary too")
    known = None if glossary is None else read_terms(glossary, aliases)
    texts: TermTexts = known or PlainTerms()
    heard = (term.term for row in read_examples(training) for term in row.terms)
    return EvaluationTerms(
        glossary=[said for said, _ in known.forms()] if known else (),
        distractors=[] if distractors is None else [one.term for one in read_terms(distractors).terms],
        texts=texts,
        seen=frozenset(texts.group_of(normal_form(term)) for term in heard) if training else None,
    )


def refuse_leaks(training: Sequence[Path], test: "Sequence[Example]", *, allow_leak: bool) -> str:
    """What test rows share with training rows, in words; "" for nothing. Raises LeakError where it is not allowed."""
    from training.corpus.rows import read_examples
    from training.corpus.splits import LeakError, check_leaks

    leaks = check_leaks(read_examples(training), test, allow_leak=True)
    if leaks and not allow_leak:
        raise LeakError(
            f"--samples and --training share {leaks}: such a test measures memory; name other rows with --samples, or "
            "give --allow-leak"
        )
    return str(leaks)


def revision_of(files: Sequence[Path]) -> str:
    """Names the state of the rows: a short hash over their files' contents."""
    digest = hashlib.sha256()
    for path in files:
        for file in sorted(path.rglob("*.json*")) if path.is_dir() else [path]:
            with file.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()[:12]


def check_target(path: Path | None) -> None:
    """Refuse a result file whose folder does not exist, before any work is done for it."""
    if path is not None and not path.parent.is_dir():
        raise SettingError(f"{path}: there is no folder {path.parent}; make it first")


def write_result(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    replace_file(path, content)
