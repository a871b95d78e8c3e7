"""The README's tables, from the JSON files that lie here.

PYTHONPATH=tests python -m hardware.table             # prints them
PYTHONPATH=tests python -m hardware.table tests/README.md   # puts them between its markers
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hardware.record import NOT_RUN, Figures, Record, ran

BEGIN, END = "<!-- hardware -->", "<!-- /hardware -->"
_KERNELS = 8
_COMMIT = re.compile(r"\b([0-9a-f]{7})[0-9a-f]{33}\b")


def tables(folder: Path) -> str:
    """Markdown, of each file its own."""
    records = [Record.load(path) for path in sorted(folder.glob("*.json"))]
    return "\n\n".join(map(_of_record, records)) or "Nothing was measured yet."


def _of_record(record: Record) -> str:
    lines = [*_head(record), "", *_speeds(record), *_agreements(record), *_profile(record)]
    return "\n".join(lines)


def _head(record: Record) -> Iterator[str]:
    driver = f", driver {record.driver}" if record.driver else ""
    machine = record.machine.removeprefix(f"{record.device}, ")
    versions = {run["versions"].get("onnxruntime", "absent") for run in record.runs}
    commits = dict.fromkeys(_COMMIT.sub(r"\1", run["commit"]) for run in record.runs)
    yield (
        f"**{record.device}**{driver}; {machine}; ONNX Runtime {', '.join(sorted(versions))}; "
        f"{record.date}, commit {', '.join(commits)}.{''.join(_ceilings(record))}"
    )


def _ceilings(record: Record) -> Iterator[str]:
    memory = record.rows.get("bandwidth", {}).get("machine", {})
    matmul = record.rows.get("matmul", {}).get("machine", {})
    for said, rate in (
        ("The CPU reads {:.0f} GB/s.", memory.get("cpu_read_gb_s")),
        ("A copy within the GPU moves {:.0f} GB/s.", memory.get("gpu_copy_gb_s")),
        ("Products of bf16 matrices: {:.0f} TFLOP/s.", matmul.get("tflop_s")),
    ):
        if isinstance(rate, float):
            yield " " + said.format(rate)


def _speeds(record: Record) -> Iterator[str]:
    bundles = list(record.bundles)
    yield f"| | {' | '.join(_title(record, bundle) for bundle in bundles)} |"
    yield f"|---|{'---|' * len(bundles)}"
    for name, cell in _ROWS:
        yield f"| {name} | {' | '.join(cell(record, bundle) for bundle in bundles)} |"


def _title(record: Record, bundle: str) -> str:
    told = record.bundles[bundle]
    return f"{told['checkpoint']}, {told['precision']}, {told['backend']}"


Cell = Callable[[Record, str], str]


def _cell(row: str, show: Callable[[Figures], str]) -> Cell:
    def cell(record: Record, bundle: str) -> str:
        figures = record.rows.get(row, {}).get(bundle)
        if figures is None:
            return "–"
        return show(figures) if ran(figures) else NOT_RUN

    return cell


def _several(row: str, of: str, sizes: Sequence[int], key: str, digits: int) -> Cell:
    """Figures of several sizes, side by side."""

    def show(figures: Figures) -> str:
        found = [figures[of].get(str(size), {}).get(key) for size in sizes]
        return " / ".join(_number(each, digits) for each in found)

    return _cell(row, show)


def _number(value: Any, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if isinstance(value, int | float) else NOT_RUN


def _official(record: Record, bundle: str) -> str:
    figures = record.rows.get("official", {}).get(record.bundles[bundle]["checkpoint"])
    return "–" if figures is None else _number(figures.get("p50_ms"), 1)


def _kernels(figures: Figures) -> str:
    found = _profiled(figures)
    if found is None:
        return NOT_RUN
    return f"{found['kernels_a_frame']:.0f}; {found['busy_ms']:.2f} / {found['gaps_ms']:.2f}"


def _profiled(figures: Figures) -> Figures | None:
    """The nodes on a CPU; on a GPU the kernels as they are in use, or launched one by one."""
    found = (figures.get(way) for way in ("nodes", "captured", "uncaptured"))
    return next((each for each in found if each is not None and ran(each)), None)


_AT, _CHUNKS, _SLOTS = (100, 500, 2000), (1, 2, 4, 8), (2, 4, 8, 16, 32)
_ROWS: Sequence[tuple[str, Cell]] = (
    ("a frame at 100 / 500 / 2000 positions, ms", _several("frame", "at", _AT, "p50_ms", 2)),
    ("the same, p95", _several("frame", "at", _AT, "p95_ms", 2)),
    ("times the bandwidth floor", _several("frame", "at", _AT, "times_the_floor", 1)),
    ("a frame, uncaptured, ms", _several("uncaptured", "at", _AT, "p50_ms", 2)),
    ("kernels a frame; ms busy / in gaps", _cell("profile", _kernels)),
    ("official package, bf16, ms a frame", _official),
    (
        "codec, 1 / 2 / 4 / 8 frames a chunk, ms a frame",
        _several("codec", "chunks_of", _CHUNKS, "ms_a_frame", 2),
    ),
    (
        "time to first audio, p50 / p95, ms",
        _cell("first audio", lambda f: f"{_number(f['p50_ms'], 1)} / {_number(f['p95_ms'], 1)}"),
    ),
    (
        "batch of 2 / 4 / 8 / 16 / 32, ms a launch",
        _several("batch", "slots", _SLOTS, "p50_ms", 2),
    ),
    (
        "the same, seconds of sound a second",
        _several("batch", "slots", _SLOTS, "sound_seconds_a_second", 1),
    ),
    (
        "weights; KV cache a second; peak, MB",
        _cell(
            "memory",
            lambda f: (
                f"{_number(f['weights_mb'], 0)}; {_number(f['kv_cache_mb_a_second'])}; "
                f"{_number(f['peak_mb'], 0)}"
            ),
        ),
    ),
)


def _agreements(record: Record) -> Iterator[str]:
    found = {name: f for name, f in record.rows.get("agreement", {}).items() if ran(f)}
    if not found:
        return
    yield from ("", "| against fp32 on the CPU | frames | codebook 0 | the others | codec SNR |")
    yield "|---|---|---|---|---|"
    for bundle, figures in found.items():
        first, *others = figures["same_choice"]
        mean = sum(others) / len(others)
        snr = figures["codec_snr_db"]
        said = "equal" if snr is None else f"{snr:.0f} dB"
        title = _title(record, bundle)
        yield f"| {title} | {figures['frames']} | {first:.1%} | {mean:.1%} | {said} |"


def _profile(record: Record) -> Iterator[str]:
    """The kernels of the bundle whose frame takes most."""
    profiles = {
        bundle: found
        for bundle, figures in record.rows.get("profile", {}).items()
        if ran(figures) and (found := _profiled(figures)) is not None
    }
    if not profiles:
        return
    bundle = max(profiles, key=lambda bundle: profiles[bundle]["busy_ms"])
    yield from (
        "",
        f"| {_title(record, bundle)}: a frame by kernel | ms | number |",
        "|---|---|---|",
    )
    for kernel in profiles[bundle]["top"][:_KERNELS]:
        name = kernel["name"].replace("|", "\\|")
        yield f"| `{name}` | {kernel['ms_a_frame']:.3f} | {kernel['a_frame']:.0f} |"


def put_into(page: Path, text: str) -> None:
    """Replace what stands between the markers."""
    before, begin, rest = page.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        sys.exit(f"{page} has no {BEGIN} … {END}; add these two lines where the tables go")
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", "utf-8")


if __name__ == "__main__":
    made = tables(Path(__file__).parent)
    if sys.argv[1:]:
        put_into(Path(sys.argv[1]), made)
    else:
        sys.stdout.write(made + "\n")
