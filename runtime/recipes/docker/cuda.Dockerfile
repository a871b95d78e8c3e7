# The server on an NVIDIA GPU, x86-64: ONNX Runtime, which brings its own CUDA libraries. From the
# top of the repository; the host needs a driver for CUDA 12 and the NVIDIA container toolkit:
#   docker build -f runtime/recipes/docker/cuda.Dockerfile -t qwen3-tts-edge:cuda .
#   docker run --rm --stop-timeout 45 --gpus all -p 8000:8000 -e QWEN3_TTS_EDGE_API_KEY=KEY \
#       -v /path/to/bundle:/bundle:ro qwen3-tts-edge:cuda
# The bundle is one of flavour `cuda`; the voice that comes with the package is for the CPU.
FROM python:3.11-slim AS build
COPY pyproject.toml LICENSE README.md /src/
COPY runtime /src/runtime
COPY export /src/export
COPY models /src/models
RUN python -m venv /opt/tts && /opt/tts/bin/pip install --no-cache-dir '/src[gpu,serve,serve-codecs]'

FROM python:3.11-slim
COPY --from=build /opt/tts /opt/tts
RUN useradd --system --uid 10001 --create-home tts
USER tts
ENV PATH=/opt/tts/bin:$PATH QWEN3_TTS_EDGE_HOST=0.0.0.0 QWEN3_TTS_EDGE_MODEL=/bundle
ENV MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=65536 MALLOC_TRIM_THRESHOLD_=131072
EXPOSE 8000
HEALTHCHECK --start-period=60s --interval=10s --timeout=3s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["qwen3-tts-edge", "serve"]
