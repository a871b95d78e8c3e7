"""`qwen3-tts-edge serve`: a bundle behind the protocols that programs speak already."""

import logging
import re
import socket
from contextlib import AbstractAsyncContextManager, ExitStack
from typing import Any

import click

from qwen3_tts_edge.cli.options import Finite, bundle_argument, running_options
from qwen3_tts_edge.errors import InputError, lack
from qwen3_tts_edge.server.listening import Address, Tcp, address_of, uri_of
from qwen3_tts_edge.utf8 import WORDS

_EXAMPLES = """\b
Examples:
  qwen3-tts-edge serve
  qwen3-tts-edge serve my-bundle --host 0.0.0.0 --api-key "$KEY"
  qwen3-tts-edge serve --slots 64 --backend openvino
  qwen3-tts-edge serve --wyoming tcp://0.0.0.0:10200 --insecure --zeroconf
  curl http://127.0.0.1:8000/v1/audio/speech -o hello.mp3 \\
      -H 'content-type: application/json' -d '{"input": "Hello there."}'
"""


def _origins(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what no browser calls the place of a page: they leave out the path, and a slash."""
    for each in given:
        if each not in ("*", "null") and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/\s]+", each):
            raise click.BadParameter(
                f"{each!r} is no origin, such as https://example.org: it has no path, and no slash "
                "at its end"
            )
    return given


def _host(_: click.Context, __: click.Parameter, given: str) -> str:
    """Take an address of IPv6 as it stands in an URL too."""
    return given[1:-1] if given.startswith("[") and given.endswith("]") else given


@click.command(
    epilog=_EXAMPLES,
    context_settings={"auto_envvar_prefix": "QWEN3_TTS_EDGE", "show_default": True},
)
@bundle_argument
@click.option(
    "--host",
    default="127.0.0.1",
    callback=_host,
    help="The address to listen on; 0.0.0.0 is all of IPv4, :: on Linux all there are.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, help="0 takes a free one.")
@click.option(
    "--api-key",
    multiple=True,
    metavar="KEY",
    help="Let in whoever shows this key, and nobody else. May be given several times; in "
    "QWEN3_TTS_EDGE_API_KEY, which the list of processes does not show, they stand between blanks.",
)
@click.option(
    "--insecure", is_flag=True, help="Listen beyond this machine without a key all the same."
)
@click.option(
    "--wyoming",
    multiple=True,
    metavar="URI",
    help="Speak Wyoming too, for Home Assistant: tcp://HOST:PORT, usually of port 10200, or "
    "unix:///PATH. May be given several times. It knows no keys, so HOST is of this machine alone, "
    "or --insecure.",
)
@click.option(
    "--zeroconf",
    type=WORDS,
    metavar="[=NAME]",
    is_flag=False,
    flag_value="",
    help="Let Home Assistant find the first of --wyoming's TCP addresses by itself.  [default "
    "name: qwen3-tts-edge-HOSTNAME]",
)
@click.option(
    "--private-lists", is_flag=True, help="Ask for a key before telling models and voices too."
)
@click.option("--slots", type=click.IntRange(min=1), help="Who may speak at once.  [default: 8]")
@click.option("--queue", type=click.IntRange(min=0), default=32, help="Who may wait for that.")
@click.option("--queue-seconds", type=Finite(min=0), default=5.0, help="How long each may wait.")
@click.option("--per-key", type=click.IntRange(min=1), help="Requests at once of one key.")
@click.option(
    "--voice-alias",
    type=WORDS,
    multiple=True,
    metavar="NAME=VOICE",
    help="Another name for a voice, such as alloy=ryan. May be given several times.",
)
@click.option(
    "--cors-origin",
    multiple=True,
    metavar="ORIGIN",
    callback=_origins,
    help="Let web pages from there use the server, such as https://example.org; * is all. May be "
    "given several times.",
)
@click.option(
    "--remote-audio",
    is_flag=True,
    help="Fetch a recording that a request names by its address, from public hosts only.",
)
@click.option(
    "--drain-seconds",
    type=Finite(min=0),
    default=30.0,
    help="How long who speaks may go on after SIGTERM.",
)
@running_options
def serve(
    bundle: str | None,
    host: str,
    port: int,
    api_key: tuple[str, ...],
    wyoming: tuple[str, ...],
    zeroconf: str | None,
    voice_alias: tuple[str, ...],
    cors_origin: tuple[str, ...],
    *,
    insecure: bool,
    private_lists: bool,
    **limits: Any,
) -> None:
    """Serve BUNDLE, or the voice that comes with the package, until Ctrl-C or SIGTERM.

    OpenAI's speech API is at /v1/audio/speech, Wyoming where --wyoming says. Every option can be
    given in the environment too, --queue-seconds as QWEN3_TTS_EDGE_QUEUE_SECONDS.
    """
    http, wyomings = Tcp(host, port), [address_of(uri) for uri in wyoming]
    if not insecure:
        _check_doors(http, wyomings, locked=bool(api_key))
    try:
        from qwen3_tts_edge.server import running
        from qwen3_tts_edge.server.protocols.wyoming import serving
        from qwen3_tts_edge.server.service import Service
        from qwen3_tts_edge.server.settings import Settings
    except ImportError as error:
        raise InputError(
            f"serving needs a package that {lack(error)}",
            'run: pip install "qwen3-tts-edge[serve]"',
        ) from error
    logging.getLogger("qwen3_tts_edge").setLevel(logging.INFO)
    settings = Settings(
        bundle=bundle,
        keys=api_key,
        open_lists=not private_lists,
        cors_origins=cors_origin,
        voice_aliases=dict(map(_alias, voice_alias)),
        **limits,
    )
    with ExitStack() as sockets:
        opened = sockets.enter_context(http.opened())
        others = [sockets.enter_context(address.opened()) for address in wyomings]
        found = None if zeroconf is None else _findable(zeroconf, others)
        service = Service.open(settings)
        where = [uri_of(opened, "http"), *map(uri_of, others)]
        click.echo(f"{service.name} on {', '.join(where)}", err=True)
        beside = [serving(service, each) for each in others]
        running.run(service, opened, beside if found is None else [*beside, found])


def _check_doors(http: Tcp, wyomings: list[Address], *, locked: bool) -> None:
    if not (locked or http.stays_here):
        raise InputError(
            f"{http.host} can be reached from other machines, and nobody would need a key",
            "give --api-key, or --insecure where others keep the door",
        )
    for each in wyomings:
        if isinstance(each, Tcp) and not each.stays_here:
            raise InputError(
                f"{each.host} can be reached from other machines, and Wyoming knows no keys: "
                "whoever reaches it could speak",
                "give --insecure if all of that network may, or a unix:///PATH",
            )


def _findable(name: str, opened: list[socket.socket]) -> AbstractAsyncContextManager[None]:
    """Announce the first TCP address, for as long as the server runs."""
    try:
        from qwen3_tts_edge.server.protocols.wyoming import discovery
    except ImportError as error:
        raise InputError(
            f"--zeroconf needs a package that {lack(error)}",
            'run: pip install "qwen3-tts-edge[discover]"',
        ) from error
    tcp = next((each for each in opened if each.family != socket.AF_UNIX), None)
    if tcp is None:
        raise InputError(
            "--zeroconf announces a TCP address of --wyoming, and there is none",
            "add --wyoming tcp://0.0.0.0:10200",
        )
    name, port = discovery.instance_name(name), tcp.getsockname()[1]
    return discovery.announced(name, discovery.reachable(tcp), port)


def _alias(given: str) -> tuple[str, str]:
    name, _, voice = given.partition("=")
    if not name.strip() or not voice.strip():
        raise click.UsageError(f"--voice-alias {given!r} is not NAME=VOICE")
    return name.strip(), voice.strip()
