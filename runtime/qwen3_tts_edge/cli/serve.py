"""`qwen3-tts-edge serve`: a bundle behind the protocols that programs speak already."""

import logging
from ipaddress import ip_address

import click

from qwen3_tts_edge.cli.options import bundle_argument, running_options
from qwen3_tts_edge.errors import InputError

_EXAMPLES = """\b
Examples:
  qwen3-tts-edge serve
  qwen3-tts-edge serve my-bundle --host 0.0.0.0 --api-key "$KEY"
  curl http://127.0.0.1:8000/v1/audio/speech -o hello.mp3 \\
      -H 'content-type: application/json' -d '{"input": "Hello there."}'
"""


@click.command(
    epilog=_EXAMPLES,
    context_settings={"auto_envvar_prefix": "QWEN3_TTS_EDGE", "show_default": True},
)
@bundle_argument
@click.option("--host", default="127.0.0.1", help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, help="0 takes a free one.")
@click.option(
    "--api-key",
    "keys",
    multiple=True,
    metavar="KEY",
    help="Let in whoever shows this key, and nobody else. May be given several times; in "
    "QWEN3_TTS_EDGE_API_KEY, which the list of processes does not show, they stand between blanks.",
)
@click.option(
    "--insecure", is_flag=True, help="Listen beyond this machine without a key all the same."
)
@click.option(
    "--private-lists", is_flag=True, help="Ask for a key before telling models and voices too."
)
@click.option("--slots", type=click.IntRange(min=1), help="Who may speak at once.  [default: 8]")
@click.option("--queue", type=click.IntRange(min=0), default=32, help="Who may wait for that.")
@click.option(
    "--queue-seconds", type=click.FloatRange(min=0), default=5.0, help="How long each may wait."
)
@click.option("--per-key", type=click.IntRange(min=1), help="Requests at once of one key.")
@click.option(
    "--voice-alias",
    "aliases",
    multiple=True,
    metavar="NAME=VOICE",
    help="Another name for a voice, such as alloy=ryan. May be given several times.",
)
@click.option(
    "--cors-origin",
    "cors_origins",
    multiple=True,
    metavar="ORIGIN",
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
    type=click.FloatRange(min=0),
    default=30.0,
    help="How long who speaks may go on after SIGTERM.",
)
@running_options
def serve(
    bundle: str | None,
    host: str,
    port: int,
    keys: tuple[str, ...],
    slots: int | None,
    queue: int,
    queue_seconds: float,
    per_key: int | None,
    aliases: tuple[str, ...],
    cors_origins: tuple[str, ...],
    drain_seconds: float,
    backend: str,
    threads: int | None,
    *,
    insecure: bool,
    private_lists: bool,
    remote_audio: bool,
) -> None:
    """Serve BUNDLE, or the voice that comes with the package, until Ctrl-C or SIGTERM.

    OpenAI's speech API is at /v1/audio/speech. Every option can be given in the environment too,
    --queue-seconds as QWEN3_TTS_EDGE_QUEUE_SECONDS.
    """
    if not (keys or insecure or _stays_here(host)):
        raise InputError(
            f"{host} can be reached from other machines, and nobody would need a key",
            "give --api-key, or --insecure where others keep the door",
        )
    try:
        from qwen3_tts_edge.server import running
        from qwen3_tts_edge.server.service import Service
        from qwen3_tts_edge.server.settings import Settings
    except ImportError as error:
        raise InputError(
            f"serving needs packages that are not installed ({error})",
            "run: pip install 'qwen3-tts-edge[serve]'",
        ) from error
    logging.getLogger("qwen3_tts_edge").setLevel(logging.INFO)
    settings = Settings(
        bundle=bundle,
        backend=backend,
        threads=threads,
        slots=slots,
        queue=queue,
        queue_seconds=queue_seconds,
        per_key=per_key,
        keys=keys,
        open_lists=not private_lists,
        cors_origins=cors_origins,
        remote_audio=remote_audio,
        voice_aliases=dict(_alias(each) for each in aliases),
        drain_seconds=drain_seconds,
    )
    with running.listening(host, port) as opened:
        service = Service.open(settings)
        where = "[{}]:{}" if ":" in host else "{}:{}"
        address = where.format(*opened.getsockname()[:2])
        click.echo(f"{service.name} on http://{address}", err=True)
        running.run(service, opened)


def _stays_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _alias(given: str) -> tuple[str, str]:
    name, _, voice = given.partition("=")
    if not name.strip() or not voice.strip():
        raise click.UsageError(f"--voice-alias {given!r} is not NAME=VOICE")
    return name.strip(), voice.strip()
