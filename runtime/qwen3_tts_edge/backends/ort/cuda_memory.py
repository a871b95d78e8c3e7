"""Memory of the GPU that CUDA counts first, in which the states of ONNX Runtime's graphs lie."""

import ctypes
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import onnxruntime as ort

from qwen3_tts_edge.arrays import Array
from qwen3_tts_edge.errors import BackendError

_TO_DEVICE, _TO_HOST, _DEVICE_TO_DEVICE = 1, 2, 3
"""cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice."""


class CudaMemory:
    """Device memory: a `state.Memory`.

    ONNX Runtime allocates it but copies whole tensors alone, so copying and clearing a part of one
    is asked of the CUDA runtime, which ONNX Runtime has loaded.

    Source: cudaMemcpyAsync, cudaMemsetAsync and cudaDeviceSynchronize in the CUDA Runtime API.
    """

    device = "cuda"

    def __init__(self) -> None:
        self._cuda = cuda_runtime(ort.cuda_version)

    def allocate(self, nbytes: int) -> tuple[int, Any]:
        """Take zeroed memory, as `state.Memory.allocate` says."""
        value = ort.OrtValue.ortvalue_from_shape_and_type((nbytes,), np.uint8, self.device, 0)
        self.clear(value.data_ptr(), nbytes)
        return value.data_ptr(), value

    def copy(self, runs: Iterable[tuple[int, int, int]]) -> None:
        """Copy, as `state.Memory.copy` says."""
        self._copy(runs, _DEVICE_TO_DEVICE)

    def read(self, at: int, into: Array) -> None:
        """Copy into an array, as `state.Memory.read` says."""
        self._copy([(into.ctypes.data, at, into.nbytes)], _TO_HOST)

    def write(self, at: int, array: Array) -> None:
        """Copy an array, as `state.Memory.write` says."""
        self._copy([(at, array.ctypes.data, array.nbytes)], _TO_DEVICE)

    def clear(self, at: int, nbytes: int) -> None:
        """Set to zero, as `state.Memory.clear` says."""
        self._check(
            self._cuda.cudaMemsetAsync(ctypes.c_void_p(at), 0, ctypes.c_size_t(nbytes), None)
        )
        self._check(self._cuda.cudaDeviceSynchronize())

    def _copy(self, runs: Iterable[tuple[int, int, int]], kind: int) -> None:
        for to, source, nbytes in runs:
            self._check(
                self._cuda.cudaMemcpyAsync(
                    ctypes.c_void_p(to),
                    ctypes.c_void_p(source),
                    ctypes.c_size_t(nbytes),
                    kind,
                    None,
                )
            )
        self._check(self._cuda.cudaDeviceSynchronize())

    def _check(self, status: int) -> None:
        if status:
            raise BackendError(
                f"the GPU refused to copy (CUDA error {status})",
                "start the program again, and if it recurs run: qwen3-tts-edge doctor",
            )


def cuda_runtime(version: str) -> Any:
    """The CUDA runtime that ONNX Runtime was built with and has loaded.

    Args:
        version: Of CUDA, as 13.0.

    Raises:
        BackendError: It cannot be loaded.
    """
    major = version.split(".", maxsplit=1)[0]
    name = f"cudart64_{major}.dll" if sys.platform == "win32" else f"libcudart.so.{major}"
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        raise BackendError(
            f"{name} cannot be loaded ({error})", 'run: pip install "qwen3-tts-edge[gpu]"'
        ) from error
