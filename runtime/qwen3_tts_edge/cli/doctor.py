"""`qwen3-tts-edge doctor`: what works here, why the rest does not, and what fixes it."""

from dataclasses import asdict

import click
import msgspec

from qwen3_tts_edge.cli.options import bundle_argument
from qwen3_tts_edge.machine.doctor import Check, examine
from qwen3_tts_edge.machine.roofline import Roofline
from qwen3_tts_edge.pip import by_own_pip

_EXAMPLES = """\b
Examples:
  qwen3-tts-edge doctor
  qwen3-tts-edge doctor my-bundle
  qwen3-tts-edge doctor my-bundle --json | jq .rooflines
"""
_MARKS = {True: "ok", False: "no", None: ""}
_FRAME_MS = 80


@click.command(epilog=_EXAMPLES)
@bundle_argument
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def doctor(bundle: str | None, *, as_json: bool) -> int:
    """Say what works on this machine and what does not, and why.

    Memory is measured, which takes some seconds, and with it the least time that a frame of
    BUNDLE can take: what it must read of weights and KV cache, by how fast memory is. Close what
    else runs. Without BUNDLE it is the voice that comes with the package. Ends with 0 if a backend
    here runs the bundle, else with 1.
    """
    found = examine(bundle, lambda what: click.echo(f"measuring {what} …", err=True))
    if as_json:
        content = {
            "checks": [asdict(check) for check in found.checks],
            "rooflines": {
                device: asdict(line) | {"floor_ms": round(line.floor_ms, 2)}
                for device, line in found.rooflines.items()
            },
            "speaks": found.speaks,
        }
        click.echo(msgspec.json.format(msgspec.json.encode(content), indent=1))
    else:
        for check in found.checks:
            _row(check)
        for device, line in found.rooflines.items():
            _row(Check(f"floor, {device}", None, _floor(line)))
    return 0 if found.speaks else 1


def _row(check: Check) -> None:
    click.echo(f"{_MARKS[check.ok]:<4}{check.name:<17}{check.found}")
    if check.fix is not None:
        click.echo(f"{'':<21}→ {by_own_pip(check.fix)}")


def _floor(line: Roofline) -> str:
    again = ""
    if line.reads.again:
        again = f" and {_gb(line.reads.again)} GB over again at {_gb(line.bandwidth_again)} GB/s"
    once = line.reads.once + line.kv_cache
    return (
        f"{line.floor_ms:.1f} of {_FRAME_MS} ms a frame: {_gb(once)} GB at "
        f"{_gb(line.bandwidth)} GB/s{again}"
    )


def _gb(number: float) -> str:
    return f"{number / 1e9:.3g}"
