"""`qwen3-tts-edge info`: what a bundle is, and the memory it needs, without loading it."""

from dataclasses import asdict
from typing import Any

import click
import msgspec

from qwen3_tts_edge.backends import OPENVINO, automatic
from qwen3_tts_edge.bundle import Bundle, memory
from qwen3_tts_edge.bundle.manifest import CODEC_DECODER, FRAME, Manifest
from qwen3_tts_edge.bundle.names import BASE, VOICE_DESIGN
from qwen3_tts_edge.cli.options import bundle_argument

_EXAMPLES = """\b
Examples:
  qwen3-tts-edge info
  qwen3-tts-edge info my-bundle --verify
  qwen3-tts-edge info my-bundle --json | jq .memory
"""


@click.command(epilog=_EXAMPLES)
@bundle_argument
@click.option("--max-seconds", type=float, help="Plan for speech of this length.")
@click.option("--verify", is_flag=True, help="Read every file, and compare it with its hash.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def info(bundle: str | None, max_seconds: float | None, *, verify: bool, as_json: bool) -> None:
    """Say what a BUNDLE is and what memory it needs.

    Without BUNDLE it is the voice that comes with the package. Nothing is loaded.
    """
    opened = Bundle.open(bundle)
    folder, manifest = opened.folder, opened.manifest
    plan = memory.plan(manifest, max_seconds)
    if verify:
        opened.verify()
    if as_json:
        content = {
            "bundle": str(folder.absolute()),
            "manifest": msgspec.to_builtins(manifest),
            "memory": asdict(plan) | {"resident": plan.resident},
            "verified": verify,
        }
        click.echo(msgspec.json.format(msgspec.json.encode(content), indent=1))
        return
    _table("bundle", {"folder": str(folder), **_identity(manifest)})
    _table("speaks", _abilities(manifest))
    _table("memory", _memory(manifest, plan))
    if verify:
        click.echo(f"{len(manifest.files)} files are what was exported")


_SPEAKERS = {
    VOICE_DESIGN: "as described with --design",
    BASE: "as cloned, with --voice or --ref-audio",
}

_BACKENDS = {
    OPENVINO: "openvino, the codec in bfloat16: its sound is some 40 dB from float32, which "
    "--backend ort-cpu computes in",
}


def _table(title: str, rows: dict[str, str]) -> None:
    click.echo(title)
    for name, value in rows.items():
        click.echo(f"  {name:<16}{value}")


def _identity(manifest: Manifest) -> dict[str, str]:
    origin = manifest.checkpoint
    return {
        "checkpoint": f"{origin.name}, {origin.model_type}, {origin.model_size}",
        "revision": origin.revision or "not known",
        "fingerprint": origin.fingerprint[:16],
        "precision": manifest.precision,
        "flavour": manifest.flavour,
        "format": str(manifest.format),
        "runs with": _backend(manifest),
        "made with": ", ".join(f"{name} {found}" for name, found in manifest.made_with.items()),
    }


def _backend(manifest: Manifest) -> str:
    found = automatic(manifest.flavour, manifest.graph(CODEC_DECODER))
    return _BACKENDS.get(found, found)


def _abilities(manifest: Manifest) -> dict[str, str]:
    designs = manifest.checkpoint.model_type == VOICE_DESIGN
    takes = "yes" if manifest.takes_instruct else "no"
    rows = {
        "speakers": _SPEAKERS.get(
            manifest.checkpoint.model_type, ", ".join(manifest.speaker_names)
        ),
        "languages": ", ".join(manifest.language_names),
        "instruct": "as part of --design" if designs else takes,
        "text layout": manifest.text_layout,
        "one utterance": _utterance(manifest),
        "in company": f"codes {manifest.in_company}",
        "sampling": _settings(manifest, ""),
        "subtalker": _settings(manifest, "subtalker_"),
        "sound": f"{manifest.sample_rate} Hz, {manifest.frames_per_second:g} frames a second, "
        f"{manifest.codebooks} codebooks of {manifest.codebook_size}",
    }
    if manifest.dialects:
        rows["dialects"] = ", ".join(f"{of} ({who})" for who, of in manifest.dialects.items())
    return rows


def _utterance(manifest: Manifest) -> str:
    holds = manifest.utterance
    sentences = "" if holds.most_sentences is None else f", {holds.most_sentences} sentence"
    return f"up to {holds.most_seconds:g} s of text{sentences}; what is longer is cut"


def _settings(manifest: Manifest, prefix: str) -> str:
    values = msgspec.to_builtins(manifest.sampling)
    names = ("temperature", "top_k", "top_p", "repetition_penalty")
    found = [f"{name} {values[prefix + name]}" for name in names if prefix + name in values]
    sampled: Any = values["subtalker_dosample" if prefix else "do_sample"]
    return ", ".join(found) if sampled else "greedy"


def _memory(manifest: Manifest, plan: memory.MemoryPlan) -> dict[str, str]:
    seconds = plan.capacity / manifest.frames_per_second
    return {
        **{name: f"{_size(size)}, graph and weights" for name, size in plan.graphs.items()},
        "KV cache": f"{_size(plan.kv_cache)} for {plan.capacity} positions, {seconds:.0f} s of "
        f"prompt and speech; {_size(plan.kv_cache_per_second)} a second",
        "codec state": _size(plan.states[CODEC_DECODER]),
        "frame state": _size(plan.states[FRAME]),
        "sum": f"{_size(plan.resident)}, without what the backend needs for itself",
        "tables": f"{_size(plan.tables)} on disk, mapped: only rows that are spoken are read",
    }


def _size(nbytes: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if nbytes >= factor:
            return f"{nbytes / factor:.1f} {unit}"
    return f"{nbytes} bytes"
