"""What stands in for the driver and for TensorRT has what they have."""

import inspect

import pytest

import fake_tensorrt
from fake_gpu import FakeGpu


def test_the_fake_gpu_takes_what_cuda_takes() -> None:
    """Names and order of arguments, and the numbers, of the installed cuda-python."""
    real = pytest.importorskip("cuda.bindings.runtime")
    for name, function in inspect.getmembers(FakeGpu, inspect.isfunction):
        if name.startswith("cuda"):
            parameters = list(inspect.signature(function).parameters)[1:]
            assert parameters == list(inspect.signature(getattr(real, name)).parameters), name
    flags = ("cudaStreamNonBlocking", "cudaEventDisableTiming", "cudaEventBlockingSync")
    for name in (*flags, "cudaHostAllocDefault"):
        assert getattr(FakeGpu, name) == getattr(real, name)
    for kind in ("cudaError_t", "cudaMemcpyKind", "cudaStreamCaptureMode"):
        for member in getattr(FakeGpu, kind):
            same = getattr(getattr(real, kind), member.name)
            assert (same.name, same.value) == (member.name, member.value)


def test_the_fake_library_has_what_tensorrt_has() -> None:
    """Names, of the installed TensorRT-RTX; TensorRT has the same interface."""
    real = pytest.importorskip("tensorrt_rtx")
    pairs = (
        (fake_tensorrt.Engine, real.ICudaEngine),
        (fake_tensorrt.Context, real.IExecutionContext),
    )
    for fake, of in pairs:
        public = {name for name in vars(fake) if not name.startswith("_")}
        assert public <= set(dir(of))
    assert {"get_aliased_input_tensor", "num_io_tensors"} <= set(dir(real.ICudaEngine))
    assert "deserialize_cuda_engine" in dir(real.Runtime)
    assert "dynamic_shapes_kernel_specialization_strategy" in dir(real.IRuntimeConfig)
    assert real.DynamicShapesKernelSpecializationStrategy.EAGER
    assert set(fake_tensorrt._NAMES.values()) <= set(real.DataType.__members__)
    assert real.ILogger.INTERNAL_ERROR <= real.ILogger.ERROR < real.ILogger.WARNING
