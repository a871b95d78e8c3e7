"""Say in seconds what a checkpoint is, what fits and what does not, without exporting it."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from qwen3_tts_edge.bundle.own_files import sha256
from qwen3_tts_edge.errors import CheckpointError, shortened
from qwen3_tts_edge.hub import TEXTS, WEIGHTS, shards
from qwen3_tts_export.checkpoint import hub
from qwen3_tts_export.checkpoint.copies import CopyError
from qwen3_tts_export.checkpoint.identity import identify
from qwen3_tts_export.checkpoint.opening import codec_of, is_codec, named
from qwen3_tts_export.checkpoint.parts import CodecParts, Parts
from qwen3_tts_export.checkpoint.spec import Spec, all_files, load_spec, spec_names
from qwen3_tts_export.checkpoint.weights import TensorFile, count, refuse_infinite
from qwen3_tts_export.progress import Report, within

_WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Finding:
    """What was found."""

    name: str
    kind: str
    """What the checkpoint is, in a sentence."""
    files: Mapping[str, str]
    """Each file, and whose it is."""
    problems: tuple[str, ...]
    """Why it cannot be exported; none if it can."""


def check(
    source: str,
    *,
    revision: str | None = None,
    codec: str | None = None,
    report: Report = lambda *_: None,
) -> Finding:
    """Look at a checkpoint.

    Of a hub id that is not in the cache nothing large is downloaded: names and shapes of the
    weights, and their hashes as the hub says them.

    Args:
        source: A folder or a hub id.
        revision: Of a hub id: a branch, tag or commit.
        codec: As for `Checkpoint.open`.
        report: Called as files are read.

    Raises:
        CheckpointError: There is no such folder or hub id.
    """
    found, elsewhere = named(source, revision), None if codec is None else named(codec)
    with tempfile.TemporaryDirectory() as name:
        aside = Path(name).resolve()
        folder, said = _outlined(found, revision, aside / "checkpoint")
        if elsewhere is not None:
            elsewhere = codec_of(_outlined(elsewhere, None, aside / "codec")[0])
        return _look(folder, elsewhere, said, aside, report)


def _outlined(
    found: Path | str, revision: str | None, into: Path
) -> tuple[Path, Mapping[str, str]]:
    """Give a folder to look at, and hashes of weights of which only headers are there."""
    if isinstance(found, Path):
        return found, {}
    if (folder := hub.cached(found, revision)) is not None:
        return folder, {}
    into.mkdir()
    outline = hub.outline(found, revision, into)
    return outline.folder, outline.sha256


def _look(
    folder: Path, codec: Path | None, said: Mapping[str, str], aside: Path, report: Report
) -> Finding:
    """Look at a folder; weights in `aside` are only headers, whose hashes are `said`."""
    parts = CodecParts(folder) if is_codec(folder) else Parts(folder, codec)
    specs = [load_spec(name) for name in spec_names()]
    specs = [spec for spec in specs if (spec.codec is None) == isinstance(parts, CodecParts)]
    hashes = dict(_hashes(folder, specs, said, report))
    published = next((s for s in specs if hashes.get(_WEIGHTS) == s.files[_WEIGHTS].sha256), None)
    problems = list(_problems(parts.steps()))
    if published is None and not problems:
        there = [each for each in parts.weights if aside not in each.folder.resolve().parents]
        problems += _problems([lambda: refuse_infinite(there, within(report, 0.9, 1.0))])
    return Finding(
        name=identify(folder)[0],
        kind=_kind(parts, specs, published, hashes, problems),
        files={name: _whose(name, found, specs) for name, found in hashes.items()},
        problems=tuple(
            dict.fromkeys(str(problem).replace(f"{folder}/", "") for problem in problems)
        ),
    )


def _hashes(
    folder: Path, specs: list[Spec], said: Mapping[str, str], report: Report
) -> Iterator[tuple[str, str | None]]:
    """Hash each file; None for weights whose size shows that they are not published ones."""
    files = {
        file.relative_to(folder).as_posix(): file
        for pattern in (*TEXTS, *WEIGHTS, *shards(folder))
        for file in sorted(folder.glob(pattern))
        if file.is_file()  # no link whose end is not there
    }
    sizes = {fact.size for spec in specs for fact in all_files(spec).values()}
    total = sum(file.stat().st_size for file in files.values())
    done = 0
    for name, file in files.items():
        report(f"reading {name}", 0.9 * done / max(total, 1))
        size = file.stat().st_size
        done += size
        unknown = name.endswith(".safetensors") and size not in sizes
        yield name, said.get(name) or (None if unknown else sha256(file))


def _problems(steps: Iterable[Callable[[], object]]) -> Iterator[CheckpointError]:
    """Give what is wrong. A step that needs an earlier one gives what is wrong there once more."""
    for step in steps:
        try:
            step()
        except CheckpointError as error:  # noqa: PERF203
            yield error


def _whose(name: str, found: str | None, specs: list[Spec]) -> str:
    facts = {spec.hub: all_files(spec).get(name) for spec in specs}
    same = [owner for owner, fact in facts.items() if fact is not None and fact.sha256 == found]
    if len(same) == len(specs):
        return "as published"
    return f"that of {', '.join(same)}" if same else "not a published file"


def _kind(
    parts: Parts | CodecParts,
    specs: list[Spec],
    published: Spec | None,
    hashes: Mapping[str, str | None],
    problems: Iterable[CheckpointError],
) -> str:
    if any(isinstance(problem, CopyError) for problem in problems):
        return "what was made of a checkpoint, and is none any more"
    if published is not None:
        facts = all_files(published)
        others = [name for name, fact in facts.items() if hashes.get(name) != fact.sha256]
        if others:
            return f"the weights of {published.hub} beside other files: {', '.join(others)}"
        return f"{published.hub} as published, revision {published.revision}"
    try:
        tensors = parts.codec if isinstance(parts, CodecParts) else parts.talker
    except CheckpointError:
        return "not a checkpoint that can be read"
    return f"{_shapes(tensors, specs)}, {_voices(parts)}stored as {_stored(tensors)}"


def _shapes(tensors: TensorFile, specs: list[Spec]) -> str:
    """Say whose weights these are by their number, which training does not change."""
    for spec in specs:
        prefix, expected = next(iter(spec.weights.items()))
        if count(tensors, prefix) == (expected["tensors"], expected["parameters"]):
            size = spec.hub if spec.codec is None else spec.hub.rpartition("-")[0]
            return f"weights in the shapes of {size}, but others: trained, or saved again"
    return "weights in shapes of their own"


def _voices(parts: Parts | CodecParts) -> str:
    if isinstance(parts, CodecParts):
        return ""
    names = shortened(", ".join(parts.config.talker.speakers))
    return f"{parts.config.tts_model_type}{f' ({names})' if names else ''}, "


def _stored(tensors: TensorFile) -> str:
    types = sorted({entry.dtype for entry in tensors.entries.values()})
    files = len(tensors.headers)
    return f"{' and '.join(types)} in {files} file{'s' * (files > 1)}"
