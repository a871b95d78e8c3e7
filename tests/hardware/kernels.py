"""Where the time of a frame goes: kernels by name, how many there are, and the gaps between them.

On a GPU PyTorch's profiler looks, which sees every kernel of the process, also those of a captured
graph. On the CPU ONNX Runtime's own does, and a kernel is a node of the graph.
"""

import gc
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hardware.case import CPU, Case, attempt, for_each
from hardware.record import Figures, NotRun, ran
from hardware.rows import WARM_UP, uncaptured_frame
from qwen3_tts_edge.backends import FrameGraph
from qwen3_tts_edge.bundle.manifest import FRAME
from qwen3_tts_edge.machine.bench import frames_of, prompt_of
from qwen3_tts_edge.speech.slots import Slots

FRAMES = 5
TOP = 15
_LONGEST = 100


class Span(NamedTuple):
    """A kernel or a frame, in microseconds."""

    name: str
    start: float
    took: float

    @property
    def end(self) -> float:
        """When it was over."""
        return self.start + self.took


def profile(case: Case) -> Figures:
    """A frame by kernel, of each way that it can be launched here."""
    if case.backend == CPU:
        return {"nodes": _nodes(case)}

    def look(way: str) -> Figures:
        if way == "uncaptured":
            return _kernels(case, slots_of(uncaptured_frame(case)))
        ready = slots_of(case.tts.frame_graph)
        for _ in frames_of(ready, [prompt_of(case.tts)], WARM_UP):
            pass
        found = attempt(_kernels, case, ready)
        if ran(found):
            return found
        # It may be that only what is captured while the profiler looks can be seen.
        return _kernels(case, slots_of(case.tts.frame_graph))

    def slots_of(graph: FrameGraph) -> Slots:
        return Slots(graph, case.tts.manifest, 1)

    return for_each(("captured", "uncaptured"), look)


def tabulated(frames: Sequence[Span], kernels: Iterable[Span]) -> Figures:
    """What ran inside frames, for one of them.

    Returns:
        How many kernels, the time that one at least was running, and the gaps between the first
        and the last; then the kernels that took most, each with its time and number.
    """
    took: dict[str, float] = defaultdict(float)
    number: dict[str, int] = defaultdict(int)
    busy = span = 0.0
    ordered = sorted(kernels, key=lambda kernel: kernel.start)
    for frame in frames:
        inside = [kernel for kernel in ordered if frame.start <= kernel.start < frame.end]
        if not inside:
            continue
        end = inside[0].start
        for kernel in inside:
            busy += max(0.0, kernel.end - max(kernel.start, end))  # two may run at once
            end = max(end, kernel.end)
            took[kernel.name] += kernel.took
            number[kernel.name] += 1
        span += end - inside[0].start
    of_one = 1 / len(frames)
    return {
        "kernels_a_frame": round(sum(number.values()) * of_one, 1),
        "busy_ms": _ms(busy * of_one),
        "gaps_ms": _ms((span - busy) * of_one),
        "top": [
            {
                "name": name[:_LONGEST],
                "ms_a_frame": _ms(took[name] * of_one),
                "a_frame": round(number[name] * of_one, 1),
            }
            for name in sorted(took, key=took.__getitem__, reverse=True)[:TOP]
        ],
    }


def _kernels(case: Case, slots: Slots) -> Figures:
    try:
        import torch
        from torch import profiler
    except ImportError as error:
        raise NotRun("PyTorch, whose profiler would look, is not installed") from error
    if not torch.cuda.is_available():
        raise NotRun("PyTorch, whose profiler would look, sees no GPU")
    with profiler.profile() as seen:  # of CPU and GPU, where there is one
        made = frames_of(slots, [prompt_of(case.tts)], 1 + WARM_UP + FRAMES)
        for _ in range(1 + WARM_UP):
            next(made)
        for _ in range(FRAMES):
            with profiler.record_function(FRAME):
                next(made)
        torch.cuda.synchronize()
    with tempfile.TemporaryDirectory() as aside:
        path = Path(aside) / "trace.json"
        seen.export_chrome_trace(str(path))
        events = json.loads(path.read_text("utf-8"))["traceEvents"]
    return from_pytorch(events)


def from_pytorch(events: Sequence[dict[str, Any]]) -> Figures:
    """Tabulate a trace that PyTorch's profiler wrote."""
    frames = [
        _span(event)
        for event in events
        if event.get("cat") == "user_annotation" and event["name"] == FRAME
    ]
    kernels, copies = (
        [_span(event) for event in events if event.get("cat") in kinds]
        for kinds in (("kernel",), ("gpu_memcpy", "gpu_memset"))
    )
    if not any(one.start <= each.start < one.end for one in frames for each in kernels):
        raise NotRun("the profiler saw no kernel in a frame")
    return tabulated(frames, [*kernels, *copies])


def _nodes(case: Case) -> Figures:
    from qwen3_tts_edge.backends.ort.cpu import OrtBackend

    with tempfile.TemporaryDirectory() as aside:
        opener = OrtBackend(threads=case.threads, profiles=Path(aside))
        capacity = case.tts.frame_graph.capacity
        slots = Slots(
            opener.open_frame(case.folder, case.tts.manifest.graphs, capacity),
            case.tts.manifest,
            1,
        )
        for _ in frames_of(slots, [prompt_of(case.tts)], 1 + WARM_UP + FRAMES):
            pass
        del slots  # the graph is closed, and what was seen of it is written
        gc.collect()
        (profile,) = Path(aside).iterdir()
        events = json.loads(profile.read_text("utf-8"))
    return from_onnxruntime(events)


def from_onnxruntime(events: Sequence[dict[str, Any]]) -> Figures:
    """Tabulate what ONNX Runtime wrote: nodes by type, of the last launches."""
    launches = [_span(event) for event in events if event.get("name") == "model_run"]
    nodes = (
        Span(event["args"]["op_name"], event["ts"], event["dur"])
        for event in events
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
    )
    return tabulated(sorted(launches, key=lambda launch: launch.start)[-FRAMES:], nodes)


def _span(event: dict[str, Any]) -> Span:
    return Span(event["name"], event["ts"], event["dur"])


def _ms(microseconds: float) -> float:
    return round(microseconds / 1e3, 4)
