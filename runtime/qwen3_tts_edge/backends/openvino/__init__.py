"""The codec decoder in OpenVINO, in bfloat16, beside talker and predictor in ONNX Runtime.

ONNX Runtime has no products of bfloat16 on a CPU; OpenVINO has, where the CPU does (AMX or
AVX512-BF16). Talker and predictor gain nothing there: their products are of single rows, as fast as
memory is, and their caches would be copied in every launch.
"""
