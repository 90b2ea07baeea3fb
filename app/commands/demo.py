"""`termcue demo`: the page that an interpreter keeps open."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.notes import note
from app.options import NamedPath, data_dir_option, model_option, provider_option

if TYPE_CHECKING:
    from streaming.encoding.providers import Provider

EPILOG = """\b
Examples:
  termcue demo
  termcue demo --glossary terms.xlsx --target-lang de --target-lang es
  termcue demo --host 0.0.0.0 --ssl-self-signed      # a phone in the same room: open the address that is printed
  termcue demo --server http://127.0.0.1:8765 --port 8766
  kill -HUP PID    # read the keys file and the glossaries again; sessions of removed keys end
"""
_TWO_KEYS = (
    "{server} asks for a key, and one is needed for the page on {host} too: name a file that holds the server's keys "
    "with --api-keys-file."
)


def _as_address(context: click.Context, parameter: click.Parameter, given: str | None) -> str:
    """The address of a running server; "" for none."""
    from app.running_server import server_address
    from streaming.errors import SettingError

    try:
        return "" if given is None else server_address(given)
    except SettingError as error:
        raise click.BadParameter(str(error), context, parameter) from error


@click.command(epilog=EPILOG)
@click.option(
    "--glossary",
    multiple=True,
    metavar="FILE|ID",
    help="Glossary to offer, may be repeated. [default: the sample and all published ones]",
)
@click.option(
    "--target-lang", multiple=True, metavar="LANG", help="Language of a column, such as de; a second one may be given."
)
@click.option(
    "--server",
    metavar="URL",
    callback=_as_address,
    help="Take a running server (termcue serve) instead of starting one.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; with another than this machine a key is made, unless you give some.",
)
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=8765, show_default=True, help="Port; 0 takes a free one."
)
@click.option("--api-keys-file", type=NamedPath(), metavar="FILE", help="SHA-256 digests of the keys, one a line.")
@click.option("--ssl-self-signed", is_flag=True, help="Speak TLS with a certificate made for this run (needs openssl).")
@click.option("--tls-cert", type=NamedPath(), metavar="FILE", help="Certificate chain in PEM; with --tls-key.")
@click.option("--tls-key", type=NamedPath(), metavar="FILE", help="Private key of the certificate in PEM.")
@click.option("--browser/--no-browser", default=None, help="Open the page. [default: where there is a screen]")
@model_option
@provider_option
@data_dir_option
@click.pass_context
def demo(
    context: click.Context,
    *,
    glossary: tuple[str, ...],
    target_lang: tuple[str, ...],
    server: str,
    host: str,
    port: int,
    api_keys_file: Path | None,
    ssl_self_signed: bool,
    tls_cert: Path | None,
    tls_key: Path | None,
    browser: bool | None,
    model: Path | None,
    provider: "Provider",
    data_dir: Path | None,
) -> None:
    """Open the page for interpreters: terms and translations as they are said, glossaries, an engineer's view.

    It starts a live server on the same port, or takes a running one with --server; that one must know the page
    (termcue serve --allow-origin http://127.0.0.1:8766). Without --host only this machine reaches it.
    """
    if wrong := _wrong_usage(server, glossary, (tls_cert, tls_key), ssl_self_signed):
        raise click.UsageError(wrong, context)
    from app.allocator import share_pools

    share_pools()
    try:
        from demo.frame import check_gradio

        check_gradio()
    except ImportError as error:
        raise click.ClickException(f"the page needs Gradio ({error}); install it: pip install '.[demo]'") from error
    from app.demonstrating import Demonstration, serve_page_alone, serve_with_page
    from app.loaded_model import calibration_warning, load_folder
    from app.page_access import PageKeys, own_address
    from app.places import Places
    from app.running_server import asks_for_key
    from app.self_signed import self_signed_tls
    from app.serving import set_up_server_log
    from app.tls import server_tls
    from demo.site import PageSettings
    from streaming.server import ServerConfig
    from streaming.server.access import is_loopback
    from streaming.terminal import hangups_kept

    needs_key = bool(server) and asks_for_key(server)
    if needs_key and api_keys_file is None and not is_loopback(host):
        raise click.UsageError(_TWO_KEYS.format(server=server, host=host), context)
    early_hangup = context.with_resource(hangups_kept())
    keys = PageKeys.of(api_keys_file, host)
    tls = server_tls(tls_cert, tls_key) if tls_cert and tls_key else None
    if ssl_self_signed:
        tls = self_signed_tls(tuple(dict.fromkeys(("localhost", "127.0.0.1", own_address(host)))))
    if tls is None and not is_loopback(host):
        note("warning: browsers give no microphone to pages over http:// from elsewhere; add --ssl-self-signed")
    settings = PageSettings(
        server=server, needs_key=needs_key or keys.current is not None, target_langs=target_lang[:2]
    )
    set_up_server_log("text")
    folder = load_folder(model)
    if (warning := calibration_warning(folder)) is not None:
        note(warning)

    def ready(address: str) -> None:
        note(f"the page is at {address}")
        _warn_of_server(server, address, host)
        if _has_screen() if browser is None else browser:
            import webbrowser

            webbrowser.open(address)

    demonstration = Demonstration(
        config=ServerConfig(host=host, port=port, tls=tls),
        keys=keys,
        settings=settings,
        folder=folder,
        provider=provider,
        places=Places.of(data_dir),
        ready=ready,
        was_hung_up=early_hangup.came,
        ends_process=True,
    )
    if server:
        serve_page_alone(demonstration)
    else:
        serve_with_page(demonstration, glossary)


def _wrong_usage(
    server: str, glossary: tuple[str, ...], tls: tuple[Path | None, Path | None], is_self_signed: bool
) -> str:
    """What is wrong with options that do not go together; "" for nothing."""
    if (tls[0] is None) != (tls[1] is None):
        return "--tls-cert and --tls-key go together; give both."
    if is_self_signed and tls[0] is not None:
        return "--ssl-self-signed makes a certificate; leave --tls-cert and --tls-key out."
    if server and glossary:
        return "a running server has its own glossaries; leave --glossary out."
    return ""


def _warn_of_server(server: str, page: str, host: str) -> None:
    """Say before anybody opens the page what will keep it from the running server; "" for none."""
    if not server:
        return
    from urllib.parse import urlsplit

    from app.running_server import knows_page, obstacles

    parts = urlsplit(page)
    for obstacle in obstacles(server, host, parts.scheme == "https"):
        note(f"warning: {obstacle}")
    origin = f"{parts.scheme}://{parts.netloc}"
    if not knows_page(server, origin):
        note(f"warning: {server} does not know this page; start it with: termcue serve --allow-origin {origin}")


def _has_screen() -> bool:
    if not sys.stderr.isatty():
        return False
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
