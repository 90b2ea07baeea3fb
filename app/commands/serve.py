"""`termcue serve`: the live server."""

import logging
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from app.notes import counted, note
from app.options import NamedPath, data_dir_option, hop_option, model_option, provider_option
from app.page_origin import PageOrigin
from app.serve_limits import ServeLimits, limit_options, limited

if TYPE_CHECKING:
    from streaming.encoding.providers import Provider

EPILOG = """\b
Examples:
  termcue serve --glossary talks
  termcue serve --glossary terms.csv --glossary names.csv --port 9000
  termcue serve --host 0.0.0.0 --api-keys-file keys.txt --tls-cert cert.pem --tls-key key.pem
  termcue serve --glossary talks --max-sessions 64 --hop-ms 640 --log-format json --record recordings
  termcue serve --drain 60 --idle-timeout 120 --connections-per-address 2000 --max-file-size 2048
  kill -HUP PID    # read the keys file and the glossaries again; sessions of removed keys end
\b
On the same port, over plain HTTP:
  GET /health, /ready, /metrics (Prometheus), /v1/glossaries
  POST /v1/hints:file (a recording in, JSON lines out), /v1/glossaries/ID:reload, /v1/tokens
"""


@click.command(epilog=EPILOG)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; others than this machine need keys."
)
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=8765, show_default=True, help="Port; 0 takes a free one."
)
@click.option(
    "--glossary",
    multiple=True,
    metavar="FILE|ID",
    help="Glossary to serve, may be repeated; a file is served under its name. [default: all published ones]",
)
@click.option("--api-keys-file", type=NamedPath(), metavar="FILE", help="SHA-256 digests of the keys, one a line.")
@click.option(
    "--allow-origin",
    multiple=True,
    type=PageOrigin(),
    metavar="ORIGIN",
    help="Web page whose scripts may connect, such as https://example.org; may be repeated.",
)
@click.option(
    "--record", type=NamedPath(), metavar="DIR", help="Keep audio and hints of each session there, for termcue replay."
)
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Form of the log."
)
@click.option("--log-terms", is_flag=True, help="Write the terms of hints to the log; audio never.")
@click.option("--tls-cert", type=NamedPath(), metavar="FILE", help="Certificate chain in PEM; with --tls-key.")
@click.option("--tls-key", type=NamedPath(), metavar="FILE", help="Private key of the certificate in PEM.")
@limit_options
@model_option
@provider_option
@hop_option
@data_dir_option
@click.pass_context
def serve(
    context: click.Context,
    host: str,
    port: int,
    glossary: tuple[str, ...],
    api_keys_file: Path | None,
    allow_origin: tuple[str, ...],
    record: Path | None,
    log_format: str,
    log_terms: bool,
    tls_cert: Path | None,
    tls_key: Path | None,
    model: Path | None,
    provider: "Provider",
    hop_ms: int,
    data_dir: Path | None,
    **limits: Unpack[ServeLimits],
) -> None:
    """Serve hints to websocket clients at ws://HOST:PORT/v1/hints, until SIGTERM or Ctrl-C.

    A new version of a published glossary, or a file that is saved again, is taken over while people speak. Clients may
    layer several glossaries: ?glossary=mine,shared. Without keys the server listens on this machine only. SIGHUP reads
    keys and glossaries again.
    """
    from app.allocator import giving_back, share_pools
    from streaming.terminal import hangups_kept

    early_hangup = context.with_resource(hangups_kept())
    share_pools(limits["threads"])
    from app.glossaries import open_glossary, open_published
    from app.glossary_notes import report_logger
    from app.loaded_model import calibration_warning, for_many, load_folder, load_model, warm_up
    from app.places import Places
    from app.serving import make_recordings_folder, recorder_into, sessions_held, set_up_server_log
    from app.tls import server_tls
    from app.watched import sources_of
    from app.wiring import by_id, catalogue_of, serve_glossary
    from index_builder.publish import published
    from streaming.encoding.batching import ComputeSlots
    from streaming.server import ServerConfig, check_address, run_server
    from streaming.server.api_keys import ApiKeys
    from streaming.server.hangup import Reread
    from streaming.server.metrics import ServerMetrics
    from streaming.sessions.catalogue_watch import CatalogueWatch

    places = Places.of(data_dir)
    names = glossary or tuple(published(places.data))
    if not names:
        raise click.UsageError(
            f"no glossary is published in {places.data}; name a file with --glossary, or publish one: "
            f"termcue reindex terms.csv --id talks",
            context,
        )
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key go together; give both.", context)
    keys = None if api_keys_file is None else ApiKeys.load(api_keys_file)
    tls = server_tls(tls_cert, tls_key) if tls_cert and tls_key else None
    config = ServerConfig(host=host, port=port, allowed_origins=allow_origin, tls=tls, log_terms=log_terms)
    config = limited(config, limits, has_keys=keys is not None)
    check_address(host, port)
    if record is not None:
        make_recordings_folder(record)
    set_up_server_log(log_format)
    # In a log that programs read, every line is an object.
    tell = logging.getLogger(__name__).info if log_format == "json" else note
    folder = load_folder(model)
    if (warning := calibration_warning(folder)) is not None:
        tell(warning)
    metrics, slots = ServerMetrics(), ComputeSlots(config.threads)
    loaded = for_many(load_model(folder, provider, hop_ms), slots, metrics.batched)
    stopping = threading.Event()
    serve_one = partial(serve_glossary, loaded)
    tell_report = report_logger(log_terms=log_terms)
    sources = sources_of(glossary, serve_one, folder, places, provider, tell_report, stopping.is_set)
    # Asked before the glossaries are read, so that what is published meanwhile is noticed.
    stamps = {name: source.stamp() for name, source in sources().items()}
    # A glossary that was asked for must open; of all the published ones, those that can.
    asked = [open_glossary(name, folder, places, provider, tell_report) for name in glossary]
    catalogue = catalogue_of(loaded, by_id(asked or open_published(names, folder, places)))
    listed = ", ".join(f"{name} ({counted(each.terms, 'term')})" for name, each in catalogue.items())

    def get_ready() -> None:
        warm_up(loaded)
        held = sessions_held(loaded, config.threads)
        if held < config.max_sessions:
            tell(
                f"this machine holds about {counted(held, 'session')}: with more of --max-sessions "
                f"{config.max_sessions} at a time, hints are decided less often"
            )

    reread_keys = None if api_keys_file is None else partial(ApiKeys.load, api_keys_file)
    with CatalogueWatch(catalogue, sources, stamps, stopping=stopping) as watch, giving_back():
        run_server(
            config,
            catalogue,
            keys,
            on_ready=lambda url: tell(f"serving {listed} at {url}"),
            slots=slots,
            metrics=metrics,
            reload=watch.reload,
            record=None if record is None else recorder_into(record, loaded),
            warm_up=get_ready,
            reread=Reread(partial(watch.look, is_asked=True), reread_keys, early_hangup.came),
            ends_process=True,
        )
