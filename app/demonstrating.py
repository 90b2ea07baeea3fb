"""What `termcue demo` wires: the live server with the page on its port, or the page alone beside a running server."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from app.allocator import giving_back
from app.desk import Desk, Edition
from app.glossaries import SAMPLE_ID, open_glossary, open_published
from app.glossary_notes import report_logger
from app.loaded_model import Model, for_many, load_model, warm_up
from app.notes import counted, note
from app.page_access import PageKeys, page_address
from app.places import Places
from app.samples import recordings
from app.watched import PublishedGlossary, Source, sources_of
from app.wiring import IndexedGlossary, by_id, catalogue_of, serve_glossary
from demo.desk import Recording
from demo.site import MOUNT_PATH, PageSettings, demo_site, front_door
from index_builder.publish import published
from streaming.encoding.batching import ComputeSlots
from streaming.encoding.providers import Provider
from streaming.model_folder import ModelFolder
from streaming.server import ServerConfig, run_server
from streaming.server.hangup import Reread
from streaming.server.metrics import ServerMetrics
from streaming.sessions.catalogue import Catalogue
from streaming.sessions.catalogue_watch import CatalogueWatch

# Speakers of the bundled recordings, for the list on the page.
_TITLES = {"austen": "Sense and Sensibility", "jfk": "Kennedy, 1961"}
# Who runs the page owns its glossaries.
_TELL_REPORT = report_logger(log_terms=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """What the page is made with.

    Attributes:
        config: of the server that carries it.
        keys: who is let in.
        settings: what the page is told.
        folder: the model.
        provider: on what it runs.
        places: where glossaries are published.
        ready: told the address of the page.
        was_hung_up: whether SIGHUP came while the page was being set up.
        ends_process: whether the process ends with the server; signals after the last goodbye are ignored then.
    """

    config: ServerConfig
    keys: PageKeys
    settings: PageSettings
    folder: ModelFolder
    provider: Provider
    places: Places
    ready: Callable[[str], None]
    was_hung_up: Callable[[], bool] = lambda: False
    ends_process: bool = False

    def tell(self, hints_url: str) -> None:
        """Tell the address of the page on the server of `hints_url`."""
        self.ready(page_address(hints_url, self.config.host, self.keys.made))


@dataclass(frozen=True, slots=True)
class Stage:
    """All that a server needs to serve glossaries and the page.

    Attributes:
        catalogue: the glossaries.
        model: that hears them.
        slots: who may compute.
        metrics: where it is counted.
        mounts: the page, by its path.
        reload: looks for a new version of a glossary at once.
        look: looks for new versions of all of them.
    """

    catalogue: Catalogue
    model: Model
    slots: ComputeSlots
    metrics: ServerMetrics
    mounts: Mapping[str, object]
    reload: Callable[[str], None]
    look: Callable[[], object]


@contextmanager
def staged(demonstration: Demonstration, names: Sequence[str]) -> Iterator[Stage]:
    """Glossaries and page, kept up to date inside the context: those named, else the sample and all published."""
    folder, places, provider = demonstration.folder, demonstration.places, demonstration.provider
    metrics, slots = ServerMetrics(), ComputeSlots(demonstration.config.threads)
    model = for_many(load_model(folder, provider), slots, metrics.batched)
    serve = partial(serve_glossary, model)
    named = sources_of(names, serve, folder, places, provider, _TELL_REPORT)
    uploaded: set[str] = set()

    def sources() -> Mapping[str, Source]:
        of_uploads = {each: PublishedGlossary(each, places.data, folder.encoder_id, serve) for each in list(uploaded)}
        return {**named(), **of_uploads}

    # Asked before the glossaries are read, so that what is published meanwhile is noticed.
    stamps = {name: source.stamp() for name, source in sources().items()}
    catalogue = _catalogue(model, names, places, provider)
    with CatalogueWatch(catalogue, sources, stamps) as watch:

        def served_at_once(glossary_id: str) -> None:
            uploaded.add(glossary_id)
            watch.reload(glossary_id)

        desk = Desk(partial(_served, catalogue), folder, places, provider, served_at_once)
        mounts, look = _mounts(demonstration, desk), partial(watch.look, is_asked=True)
        yield Stage(catalogue, model, slots, metrics, mounts, watch.reload, look)


def serve_with_page(demonstration: Demonstration, names: Sequence[str]) -> None:
    """Serve glossaries and the page until a signal: those named, else the sample and all that is published.

    SIGHUP reads keys and glossaries again.
    """
    with staged(demonstration, names) as stage, giving_back():
        listed = (f"{name} ({counted(each.terms, 'term')})" for name, each in stage.catalogue.items())
        note(f"serving {', '.join(listed)}")
        run_server(
            demonstration.config,
            stage.catalogue,
            demonstration.keys.current,
            on_ready=demonstration.tell,
            slots=stage.slots,
            metrics=stage.metrics,
            mounts=stage.mounts,
            reload=stage.reload,
            warm_up=lambda: warm_up(stage.model),
            reread=Reread(stage.look, demonstration.keys.reader, demonstration.was_hung_up),
            ends_process=demonstration.ends_process,
        )


def serve_page_alone(demonstration: Demonstration) -> None:
    """Serve the page until a signal, for a live server elsewhere; uploads are published on this machine.

    SIGHUP reads the keys again; the glossaries are those of the other server.
    """
    desk = Desk(lambda _: None, demonstration.folder, demonstration.places, demonstration.provider)
    run_server(
        demonstration.config,
        {},
        demonstration.keys.current,
        on_ready=demonstration.tell,
        mounts=_mounts(demonstration, desk),
        reread=Reread(lambda: None, demonstration.keys.reader, demonstration.was_hung_up),
        ends_process=demonstration.ends_process,
    )


def _catalogue(model: Model, names: Sequence[str], places: Places, provider: Provider) -> Catalogue:
    if names:
        opened = [open_glossary(name, model.folder, places, provider, _TELL_REPORT) for name in names]
    else:
        there = published(places.data)
        opened = open_published(there, model.folder, places) if there else []
        if SAMPLE_ID not in there:
            opened = [open_glossary(None, model.folder, places, provider, _TELL_REPORT), *opened]
    return catalogue_of(model, by_id(opened))


def _served(catalogue: Catalogue, glossary_id: str) -> Edition | None:
    served = catalogue.get(glossary_id)
    return Edition(served.version, list(served.index.entries)) if isinstance(served, IndexedGlossary) else None


def _mounts(demonstration: Demonstration, desk: Desk) -> Mapping[str, object]:
    bundled = [Recording(each.path.name, _title(each.path, each.words), each.path) for each in recordings()]
    site = demo_site(desk, bundled, demonstration.settings, demonstration.keys.allow)
    return {MOUNT_PATH: site, "": front_door()}


def _title(path: Path, words: str) -> str:
    speaker = _TITLES.get(path.name.partition("-")[0], path.stem)
    return f"{speaker}: {' '.join(words.split()[:5])} …"
