# The server on a Jetson with JetPack 6, through the TensorRT that comes with it (Python 3.10). Build
# it on the Jetson, from the top of the repository:
#   docker build -f runtime/recipes/docker/jetson.Dockerfile -t qwen3-tts-edge:jetson .
#   docker run --rm --stop-timeout 45 --runtime nvidia -p 8000:8000 -e QWEN3_TTS_EDGE_API_KEY=KEY \
#       -v /path/to/bundle:/bundle:ro qwen3-tts-edge:jetson
# The bundle has engines that were built on this device: qwen3-tts-export engines.
FROM nvcr.io/nvidia/l4t-tensorrt:r10.3.0-devel AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY pyproject.toml LICENSE README.md /src/
COPY runtime /src/runtime
COPY export /src/export
COPY models /src/models
# TensorRT's Python module is the system's; a wheel of it would be for other libraries.
RUN python3 -m venv --system-site-packages /opt/tts \
    && /opt/tts/bin/pip install --no-cache-dir '/src[serve,serve-codecs]' 'cuda-python>=12.6,<13'

FROM nvcr.io/nvidia/l4t-tensorrt:r10.3.0-runtime
COPY --from=build /opt/tts /opt/tts
RUN useradd --system --uid 10001 --create-home --groups video tts
USER tts
ENV PATH=/opt/tts/bin:$PATH QWEN3_TTS_EDGE_HOST=0.0.0.0 QWEN3_TTS_EDGE_MODEL=/bundle
ENV MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=65536 MALLOC_TRIM_THRESHOLD_=131072
EXPOSE 8000
HEALTHCHECK --start-period=60s --interval=10s --timeout=3s \
    CMD ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["qwen3-tts-edge", "serve"]
