"""The codec decoder in OpenVINO, beside talker and predictor in ONNX Runtime.

OpenVINO makes one loop of steps for which ONNX Runtime walks through memory many times, and it has
products of bfloat16 where the CPU has (AMX or AVX512-BF16). Talker and predictor gain nothing:
their products are of single rows, as fast as memory is, and their caches would be copied in each
launch.
"""
