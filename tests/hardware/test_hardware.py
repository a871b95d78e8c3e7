"""The command that measures a machine, from bundle to README."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fake_cuda import FakeCuda, disguised, fake_cuda
from hardware import aside, kernels, place, rows, table
from hardware.agreement import agreement
from hardware.case import Case, Counts
from hardware.doubtful import doubtful_rows
from hardware.measure import OF_A_BUNDLE, OF_THE_MACHINE
from hardware.record import NotRun, Record, not_run, ran
from qwen3_tts_edge.machine.doctor import examine

ROOT = Path(__file__).parents[2]
FEW = Counts(frames=3, requests=2, sentences=1)


def measured(folder: Path, *arguments: object) -> Record:
    command = [sys.executable, "-m", "hardware.measure", "--folder", str(folder)]
    few = ["--frames", "2", "--requests", "2", "--threads", "1"]
    subprocess.run(
        [*command, *few, *map(str, arguments)],
        check=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(["tests", *sys.path])},
    )
    (path,) = folder.glob("*.json")
    return Record.load(path)


def numbers(figures: object) -> list[float]:
    if isinstance(figures, dict):
        return [each for value in figures.values() for each in numbers(value)]
    return [figures] if isinstance(figures, int | float) else []


def test_every_row_of_the_bundled_voice_in_pieces(voice_bundle: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    found = measured(tmp_path, voice_bundle, gone, *("--only", "memory", "--only", "codec"))
    (subject,) = found.bundles
    assert set(found.rows) == {"memory", "codec"}
    assert found.rows["codec"]["gone"]["not run"].endswith(
        "gone is not a bundle: no manifest.json "
        "(No such file or directory); make one: qwen3-tts-export bundle CHECKPOINT -o DIR"
    )
    first = found.rows["codec"][subject]

    found = measured(tmp_path, voice_bundle, "--missing")
    assert found.name.endswith(f"-{found.date}.json")
    assert [len(run["commit"]) >= 7 and "onnxruntime" in run["versions"] for run in found.runs] == [
        True,
        True,
    ]
    assert "hardware.measure" in found.runs[1]["command"]
    assert set(found.rows) == {*OF_THE_MACHINE, *OF_A_BUNDLE}
    assert found.rows["codec"][subject] == first
    assert first["run"] == 0
    for row in ("frame", "first audio", "batch", "profile"):
        assert found.rows[row][subject]["run"] == 1
        assert min(numbers(found.rows[row][subject])) >= 0
    assert found.rows["frame"][subject]["at"]["100"]["times_the_floor"] > 0
    assert found.rows["batch"][subject]["slots"]["32"]["sound_seconds_a_second"] > 0
    assert found.rows["profile"][subject]["nodes"]["kernels_a_frame"] > 100
    assert "no captured graph" in found.rows["uncaptured"][subject]["not run"]
    assert "no --reference" in found.rows["agreement"][subject]["not run"]

    page = tmp_path / "README.md"
    page.write_text(f"a\n{table.BEGIN}\nold\n{table.END}\nb\n")
    table.put_into(page, table.tables(tmp_path))
    shown = page.read_text("utf-8")
    assert shown.startswith(f"a\n{table.BEGIN}\n**")
    assert "| time to first audio" in shown
    assert "old" not in shown


def test_the_readme_shows_what_was_measured() -> None:
    page = (ROOT / "tests" / "README.md").read_text("utf-8")
    shown = page.partition(table.BEGIN)[2].partition(table.END)[0]
    assert shown.strip() == table.tables(Path(__file__).parent).strip()


def test_what_crashes_or_hangs_costs_one_row() -> None:
    names = list(doubtful_rows())
    found = dict(aside.measured(doubtful_rows, (), names, seconds=4))
    assert found == {
        "good": {"p50_ms": 1.0},
        "raises": {"not run": "ValueError: no such thing"},
        "crashes": {"not run": "the process ended with exit code 7"},
        "hangs": {"not run": "took longer than 4 s"},
        "after": {"p50_ms": 2.0},
    }


def test_a_record_keeps_figures_and_no_paths(tmp_path: Path) -> None:
    record = Record("Intel(R) Xeon(R) CPU @ 2.20GHz", None, "a machine", "2026-01-02")
    here = "/" + "tmp/somewhere/build"  # in two, or it would be a path in the repository
    record.runs.append({"command": f"measure {here}/0.6b", "commit": "c"})
    record.note("frame", "0.6b", not_run(NotRun("no GPU")))
    assert not record.has("frame", "0.6b")
    record.note("frame", "0.6b", {"p50_ms": 1.5})
    record.note("frame", "0.6b", not_run(RuntimeError("out of memory")))
    path = record.save(tmp_path)
    assert path.name == "intel-xeon-2-20ghz-2026-01-02.json"
    again = Record("Intel(R) Xeon(R) CPU @ 2.20GHz", None, "", "2026-01-02").resumed(tmp_path)
    assert again.rows == {"frame": {"0.6b": {"run": 0, "p50_ms": 1.5}}}
    assert again.runs[0]["command"] == "measure …/0.6b"
    assert list(tmp_path.iterdir()) == [path]


def test_kernels_of_a_frame() -> None:
    def event(cat: str, name: str, start: float, took: float) -> dict[str, object]:
        return {"cat": cat, "name": name, "ts": start, "dur": took}

    frames = [event("user_annotation", "frame", at, 90.0) for at in (100.0, 200.0)]
    ran_there = [
        event("kernel", "before", 50.0, 40.0),
        *(event("kernel", "product", at + 10, 30.0) for at in (100.0, 200.0)),
        *(event("gpu_memcpy", "copy", at + 30, 20.0) for at in (100.0, 200.0)),  # 10 at once
        *(event("kernel", "norm", at + 60, 5.0) for at in (100.0, 200.0)),
        event("gpu_user_annotation", "frame", 110.0, 60.0),
    ]
    found = kernels.from_pytorch([*frames, *ran_there])
    assert found["kernels_a_frame"] == 3
    assert (found["busy_ms"], found["gaps_ms"]) == (0.045, 0.01)
    assert found["top"][0] == {"name": "product", "ms_a_frame": 0.03, "a_frame": 1.0}
    with pytest.raises(NotRun, match="saw no kernel"):
        kernels.from_pytorch([*frames, ran_there[0], *ran_there[3:5]])


def test_a_trace_of_pytorchs_profiler_has_the_frames(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    with torch.profiler.profile() as seen, torch.profiler.record_function(kernels.FRAME):
        torch.ones(2).sum()
    seen.export_chrome_trace(str(tmp_path / "trace.json"))
    events = json.loads((tmp_path / "trace.json").read_text("utf-8"))["traceEvents"]
    (inside,) = [event for event in events if event["name"] == "aten::ones"]
    work = {"cat": "kernel", "name": "reduce", "ts": inside["ts"], "dur": inside["dur"]}
    assert kernels.from_pytorch([*events, work])["kernels_a_frame"] == 1


@pytest.fixture
def on_a_gpu(voice_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    free = iter([9_000, 8_000, 7_500])
    monkeypatch.setattr(rows, "gpu_free", lambda: next(free) * 10**6)
    folder = disguised(voice_bundle, tmp_path / "bundle", flavour="cuda")
    return Case(folder, "auto", None, FEW)


def test_rows_over_a_gpu_that_is_not_there(on_a_gpu: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_cuda(monkeypatch) as gpu:
        fitting = [name for name in OF_A_BUNDLE if name not in ("agreement", "profile")]
        found = {name: OF_A_BUNDLE[name](on_a_gpu) for name in fitting}
        assert on_a_gpu.backend == "ort-cuda"
        assert (found["memory"]["opened_mb"], found["memory"]["peak_mb"]) == (1000, 1500)
        for row, at in (("frame", "at"), ("uncaptured", "at"), ("codec", "chunks_of")):
            assert min(each["p50_ms"] for each in found[row][at].values() if ran(each)) > 0
        assert "cuda" in found["frame"]["at"]["100"]["no floor"].lower()
        assert found["first audio"]["count"] == FEW.requests
        assert ran(found["batch"]["slots"]["32"])
        with pytest.raises(NotRun, match="sees no GPU"):
            kernels.profile(on_a_gpu)
        _the_profiler_looks_at_frames(on_a_gpu, monkeypatch)
        _only_the_uncaptured_are_launched_one_by_one(on_a_gpu, gpu)


def _the_profiler_looks_at_frames(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    seen: list[dict[str, object]] = []
    monkeypatch.setattr(kernels, "from_pytorch", lambda events: seen.extend(events) or {"top": []})
    kernels.profile(case)
    frames = [e for e in seen if (e.get("cat"), e["name"]) == ("user_annotation", kernels.FRAME)]
    assert len(frames) == 2 * kernels.FRAMES


def _only_the_uncaptured_are_launched_one_by_one(case: Case, gpu: FakeCuda) -> None:
    for row, expected in (
        (rows.uncaptured, {"launched"}),
        (rows.frame, {"launched", "captured", "replayed"}),
    ):
        gpu.launches.clear()
        row(case)
        launched = [what for _, _, what in gpu.launches]
        assert set(launched) == expected
        assert launched.count("captured") <= 1


def test_agreement_with_fp32(voice_bundle: Path, exact_voice_bundle: Path) -> None:
    case = Case(voice_bundle, "auto", 1, FEW, [exact_voice_bundle])
    found = agreement(case)
    assert len(found["same_choice"]) == case.manifest.codebooks
    assert np.mean(found["same_choice"]) > 0.93
    assert min(found["same_choice"]) > 0.8  # a pitch beside another is nearly as likely
    assert found["codec_snr_db"] is None  # equal: both decode in float32, in the same chunks


def test_a_machine_with_nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(
        '#!/bin/sh\ncase "$1" in\n*name,*) echo "NVIDIA H200, 9.0, 580.1, 143000" ;;\n'
        "*driver_version*) echo 580.1 ;;\n*memory.free*) echo 1000 ;;\nesac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    record = place.here(on_the_gpu=True)
    assert (record.device, record.driver) == ("NVIDIA H200", "580.1")
    assert record.name == f"nvidia-h200-{record.date}.json"
    assert place.here(on_the_gpu=False).driver is None
    assert place.gpu_free() == 1000 * 2**20


def test_versions_where_nothing_is_installed(
    voice_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    assert place.versions()["qwen3-tts-edge"]
    assert any("qwen3-tts-edge" in check.found for check in examine(voice_bundle).checks)
