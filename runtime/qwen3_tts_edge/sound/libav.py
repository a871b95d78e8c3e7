"""Samples → Ogg Opus and AAC, through PyAV, which brings FFmpeg's libraries."""

import weakref
from collections.abc import Mapping

import numpy as np

from qwen3_tts_edge.arrays import Samples
from qwen3_tts_edge.sound.written import Written

_REPEATABLE = {"flush_packets": "1", "fflags": "+bitexact"}
"""Every packet leaves at once, and the same samples give the same bytes."""


class LibavCoder:
    """See `formats.Coder`. A codec's packets in a container that needs no seeking back."""

    head = b""

    def __init__(
        self,
        sample_rate: int,
        bitrate: int,
        *,
        codec: str,
        container: str,
        codec_options: Mapping[str, str] | None = None,
        container_options: Mapping[str, str] | None = None,
    ) -> None:
        import av
        from av.audio.stream import AudioStream

        self._written = Written()
        self._container = av.open(
            self._written, "w", container, options={**_REPEATABLE, **(container_options or {})}
        )
        # Of one that is left before its end: else PyAV keeps some kilobytes.
        weakref.finalize(self, self._container.close)
        stream = self._container.add_stream(codec, sample_rate, options=dict(codec_options or {}))
        assert isinstance(stream, AudioStream)
        stream.layout, stream.bit_rate = "mono", bitrate
        self._stream = stream
        self._container.start_encoding()
        self._fed = 0

    def encode(self, samples: Samples) -> bytes:
        """Feed float32 (n,)."""
        import av

        if len(samples):
            frame = av.AudioFrame.from_ndarray(np.clip(samples, -1, 1)[None], "flt", "mono")
            frame.sample_rate, frame.pts = self._stream.sample_rate, self._fed
            self._fed += len(samples)
            self._container.mux(self._stream.encode(frame))
        return self._written.taken()

    def finish(self) -> bytes:
        """Encode the rest."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._written.taken()
