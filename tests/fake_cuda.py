"""ONNX Runtime for a GPU that is not there: it computes on the CPU and is as strict as CUDA.

Device memory can be read and written by copies alone, and only while somebody holds it. A captured
graph runs on the addresses and shapes it was captured with, it belongs to a thread, and capturing
it launches three times. Told to release one, CUDA's provider does nothing. What a kernel reads in
CPU memory a replay has from the capture.
"""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from weakref import WeakValueDictionary

import msgspec
import numpy as np
import onnxruntime as real
import pytest

from qwen3_tts_edge.backends.ort import install as ort_install
from qwen3_tts_edge.bundle.manifest import Manifest

LAUNCHES_TO_CAPTURE = 3
TO_DEVICE, TO_HOST, DEVICE_TO_DEVICE = 1, 2, 3
ILLEGAL_ADDRESS = 700
TOTAL = "total"
"""What GroupQueryAttention reads in CPU memory."""
CUDA = "CUDAExecutionProvider"


class FakeCuda:
    """Stands for the module `onnxruntime` of onnxruntime-gpu.

    Attributes:
        launches: (graph file, number of the CUDA graph or None, launched, captured or replayed).
        allocations: Shapes of the device buffers, in order.
        sessions: (graph file, provider options).
        buffers: Those that are held, by address.
        copies: Bytes of each copy from one place of device memory to another, in order.
        released: Numbers of the graphs that were given back.
        starts: Whether the provider does.
        on_the_cpu: Nodes that CUDA does not run, with copies to and fro, as (type, name).
    """

    __version__ = "1.31.1"
    cuda_version = "13.0"
    SessionOptions = real.SessionOptions
    RunOptions = real.RunOptions

    def __init__(self) -> None:
        self.launches: list[tuple[str, int | None, str]] = []
        self.allocations: list[tuple[int, ...]] = []
        self.sessions: list[tuple[str, dict[str, str]]] = []
        self.buffers: WeakValueDictionary[int, Buffer] = WeakValueDictionary()
        self.copies: list[int] = []
        self.released: list[int] = []
        self.starts = True
        self.on_the_cpu: list[tuple[str, str]] = []
        self.OrtValue = SimpleNamespace(
            ortvalue_from_shape_and_type=self._allocate,
            ortvalue_from_numpy=real.OrtValue.ortvalue_from_numpy,  # memory of the CPU
        )

    def get_available_providers(self) -> list[str]:
        return [CUDA, "CPUExecutionProvider"]

    def preload_dlls(self) -> None: ...

    def InferenceSession(self, *arguments: Any, **named: Any) -> "Session":  # noqa: N802
        return Session(self, *arguments, **named)

    def holds(self, address: int, nbytes: int) -> bool:
        """Whether all of it lies in one buffer."""
        return any(
            start <= address and address + nbytes <= start + buffer.nbytes
            for start, buffer in self.buffers.items()
        )

    # The CUDA runtime, which takes what ctypes makes of it.

    def cudaMemcpyAsync(  # noqa: N802
        self,
        to: ctypes.c_void_p,
        source: ctypes.c_void_p,
        nbytes: ctypes.c_size_t,
        kind: int,
        stream: None,
    ) -> int:
        assert stream is None
        places = (to.value or 0, source.value or 0)
        assert abs(places[0] - places[1]) >= nbytes.value, "they overlap"
        on_device = {TO_DEVICE: (True, False), TO_HOST: (False, True)}.get(kind, (True, True))
        if tuple(self.holds(place, nbytes.value) for place in places) != on_device:
            return ILLEGAL_ADDRESS
        if kind == DEVICE_TO_DEVICE:
            self.copies.append(nbytes.value)
        ctypes.memmove(to, source, nbytes.value)
        return 0

    def cudaMemsetAsync(  # noqa: N802
        self, at: ctypes.c_void_p, value: int, nbytes: ctypes.c_size_t, stream: None
    ) -> int:
        assert stream is None
        if not self.holds(at.value or 0, nbytes.value):
            return ILLEGAL_ADDRESS
        ctypes.memset(at, value, nbytes.value)
        return 0

    def cudaDeviceSynchronize(self) -> int:  # noqa: N802
        return 0

    def _allocate(
        self, shape: tuple[int, ...], dtype: np.dtype[np.generic], device: str, number: int
    ) -> "Buffer":
        assert (device, number) == ("cuda", 0)
        self.allocations.append(tuple(shape))
        buffer = Buffer(np.full(shape, 77, dtype))  # what cudaMalloc gives is not zero
        self.buffers[buffer.data_ptr()] = buffer
        return buffer


class Buffer:
    """Device memory."""

    def __init__(self, content: np.ndarray) -> None:
        self._content = content

    def update_inplace(self, value: np.ndarray) -> None:
        assert (value.shape, value.dtype) == (self._content.shape, self._content.dtype)
        np.copyto(self._content, value)

    def numpy(self) -> np.ndarray:
        return self._content.copy()

    def data_ptr(self) -> int:
        return self._content.ctypes.data

    @property
    def nbytes(self) -> int:
        return self._content.nbytes


class Binding:
    """Addresses and shapes by name: `total` in the CPU's memory, all others on the device."""

    def __init__(self, session: real.InferenceSession) -> None:
        self.real = session.io_binding()
        self.places: dict[str, tuple[int, tuple[int, ...]]] = {}
        self.nbytes: dict[str, int] = {}

    def bind_input(self, name: str, device: str, *place: Any) -> None:
        self._note(name, device, *place)
        self.real.bind_input(name, "cpu", *place)

    def bind_output(self, name: str, device: str, *place: Any) -> None:
        self._note(name, device, *place)
        self.real.bind_output(name, "cpu", *place)

    def read(self, name: str, kind: Any) -> np.ndarray:
        """What is in a place."""
        address, shape = self.places[name]
        size = int(np.prod(shape))
        content = (ctypes.c_uint8 * (size * np.dtype(kind).itemsize)).from_address(address)
        return np.frombuffer(content, kind, size).reshape(shape)

    def _note(self, name: str, device: str, *place: Any) -> None:
        number, kind, shape, address = place
        assert number == 0
        assert device == ("cpu" if name == TOTAL else "cuda"), f"{name} is bound on {device}"
        self.places[name] = (address, tuple(shape))
        width = 2 if isinstance(kind, int) else np.dtype(kind).itemsize  # bfloat16 has no name
        self.nbytes[name] = int(np.prod(shape)) * width


class Session:
    """A session of the CPU that says it is one of CUDA."""

    def __init__(
        self,
        module: FakeCuda,
        path: str,
        options: real.SessionOptions,
        *,
        providers: list[tuple[str, dict[str, str]]],
        enable_fallback: bool,
    ) -> None:
        assert not enable_fallback
        ((provider, settings),) = providers
        assert provider == CUDA
        del options
        module.sessions.append((Path(path).name, settings))
        self._module = module
        self._name = Path(path).name
        self._captures = settings.get("enable_cuda_graph") == "1"
        if self._captures and module.starts and module.on_the_cpu:
            raise RuntimeError("This session cannot use the graph capture feature")
        self._captured = threading.local()
        own = real.SessionOptions()
        own.intra_op_num_threads = 1
        self._real = real.InferenceSession(path, own, providers=["CPUExecutionProvider"])

    def get_providers(self) -> list[str]:
        return self._module.get_available_providers() if self._module.starts else ["CPU"]

    def get_provider_graph_assignment_info(self) -> list[SimpleNamespace]:
        nodes = [SimpleNamespace(op_type=kind, name=name) for kind, name in self._module.on_the_cpu]
        return [
            SimpleNamespace(
                ep_name=CUDA, get_nodes=lambda: [SimpleNamespace(op_type="A", name="")]
            ),
            SimpleNamespace(ep_name="CPUExecutionProvider", get_nodes=lambda: nodes),
        ]

    def get_inputs(self) -> list[Any]:
        return self._real.get_inputs()

    def get_outputs(self) -> list[Any]:
        return self._real.get_outputs()

    def io_binding(self) -> Binding:
        return Binding(self._real)

    def release_captured_graph(self, number: int) -> None:
        self._module.released.append(number)

    def run_with_iobinding(self, binding: Binding, options: real.RunOptions | None = None) -> None:
        number = None if options is None else int(options.get_run_config_entry("gpu_graph_id"))
        freed = [
            name
            for name, (address, _) in binding.places.items()
            if name != TOTAL and not self._module.holds(address, binding.nbytes[name])
        ]
        assert not freed, f"memory that nobody holds: {freed}"
        self._check_total(binding, captured=self._captures and number != -1)
        assert number not in self._module.released, "a graph that was given back is not used again"
        if not self._captures or number == -1:
            self._note(number, "launched")
            self._real.run_with_iobinding(binding.real)
            return
        captured = vars(self._captured)
        if number in captured:
            self._note(number, "replayed")
            assert captured[number] == binding.places, "a replay reads the captured addresses"
            self._real.run_with_iobinding(binding.real)
            return
        self._note(number, "captured")
        for _ in range(LAUNCHES_TO_CAPTURE):
            self._real.run_with_iobinding(binding.real)
        captured[number] = dict(binding.places)

    def _check_total(self, binding: Binding, *, captured: bool) -> None:
        """As the kernel does, and as a replay needs, in which it stays as it was captured."""
        if TOTAL not in binding.places:
            return
        (total,) = binding.read(TOTAL, np.int32)
        rows = binding.places["rows"][1][1]
        (capacity,) = {
            shape[2] for name, (_, shape) in binding.places.items() if "key_values" in name
        }
        end = int(binding.read("position", np.int64).max()) + rows
        if captured:
            assert (rows, total) == (1, capacity)
        elif rows > 1:
            assert total == end, f"{total} is not the end of {rows} rows"
        assert end <= total <= capacity

    def _note(self, number: int | None, what: str) -> None:
        self._module.launches.append((self._name, number, what))


@contextmanager
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    """Give the backend a fake GPU, with all its libraries."""
    from qwen3_tts_edge.backends.ort import cuda, cuda_memory, graph, session

    module = FakeCuda()
    with monkeypatch.context() as patch:
        for user in (cuda, cuda_memory, graph, session):
            patch.setattr(user, "ort", module)
        patch.setattr(cuda_memory, "cuda_runtime", lambda _: module)
        patch.setattr(ort_install, "onnxruntime", lambda: module)
        patch.setattr(ort_install, "_loads", lambda _: True)
        yield module


def disguised(bundle: Path, folder: Path, *, flavour: str, in_place: bool = True) -> Path:
    """The files of a bundle, under a manifest that says something else of them."""
    manifest = Manifest.load(bundle)
    graphs = {
        name: msgspec.structs.replace(graph, in_place=in_place)
        for name, graph in manifest.graphs.items()
    }
    folder.mkdir()
    for name in manifest.files:
        (folder / name).symlink_to((bundle / name).absolute())
    msgspec.structs.replace(manifest, flavour=flavour, graphs=graphs).save(folder)
    return folder
