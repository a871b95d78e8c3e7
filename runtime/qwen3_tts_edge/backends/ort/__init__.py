"""ONNX Runtime, on the CPU and on CUDA."""

import os

# From 1.29 on it tells Microsoft what is run here, unless this says not to before it is imported;
# its function that ends it comes too late for the first report and a file in the home folder.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
