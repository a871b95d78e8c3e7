"""TensorRT and TensorRT-RTX: engines built for this GPU, buffers bound once, captured graphs."""
