"""`Qwen3TTSTokenizer`: the official class over a bundle's two codec graphs."""

import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import Self, Unpack

from qwen3_tts_edge.arrays import Array, Samples, as_array
from qwen3_tts_edge.backends import check_threads, open_backend
from qwen3_tts_edge.bundle import CodecBundle
from qwen3_tts_edge.bundle.manifest import CODEC_ENCODER, CodecManifest
from qwen3_tts_edge.codec.decoder import CodecDecoder
from qwen3_tts_edge.codec.encoder import CodecEncoder
from qwen3_tts_edge.compat import opening
from qwen3_tts_edge.compat.inside import TOKENIZER_TYPE
from qwen3_tts_edge.compat.loading import Loading
from qwen3_tts_edge.compat.options import ArgumentError, shown, truth
from qwen3_tts_edge.compat.sounds import local, sample_rate
from qwen3_tts_edge.compat.tensors import tensor
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.forks import shared
from qwen3_tts_edge.opened import Opened
from qwen3_tts_edge.sound.reading import (
    check_rate,
    mixed,
    open_sound,
    read_blocks,
    resampled,
    scaled,
)

Sound = str | Path | bytes | Array

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Encoded:
    """What `encode` returns; also `encoded["audio_codes"]` and `encoded[0]`.

    Attributes:
        audio_codes: Of each sound, int64 (frames, codebooks): tensors where the program has loaded
            PyTorch, else arrays.
    """

    audio_codes: list[Any]

    def __getitem__(self, key: str | int) -> list[Any]:
        if key in ("audio_codes", 0):
            return self.audio_codes
        raise KeyError(key) if isinstance(key, str) else IndexError(key)


class Qwen3TTSTokenizer(Opened):
    """The codec, sound ↔ codes, by the official names. `from_pretrained` is the way in.

    Source: Qwen3TTSTokenizer in qwen_tts/inference/qwen3_tts_tokenizer.py.
    """

    def __init__(
        self,
        manifest: CodecManifest,
        decoder: CodecDecoder,
        encoder: CodecEncoder | None,
        *,
        fetch_urls: bool = False,
    ) -> None:
        """Put the parts together; `encoder` is None where a bundle has none."""
        self._manifest = manifest
        self._decoder = decoder
        self._encoder = encoder
        self._fetch_urls = fetch_urls
        self._lock = shared(RLock())  # threads take turns at the graphs

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        threads: int | None = None,
        fetch_urls: bool = False,
        **given: Unpack[Loading],
    ) -> Self:
        """Open the codec of a bundle or a checkpoint.

        Every bundle decodes; one of a Base checkpoint or of the codec alone encodes too. The
        codec alone is its own repository, or a checkpoint's folder `speech_tokenizer`.
        Arguments and errors are those of `Qwen3TTSModel.from_pretrained`.
        """
        fetch_urls = truth("fetch_urls", fetch_urls)
        check_threads(threads)
        folder, backend = opening.bundle(pretrained_model_name_or_path, given)
        bundle = CodecBundle.open(folder)
        bundle.check()
        manifest = bundle.manifest
        opener = open_backend(backend, flavour=manifest.flavour, threads=threads)
        encodes = CODEC_ENCODER in manifest.graphs
        return cls(
            manifest,
            CodecDecoder.open(bundle, opener),
            CodecEncoder.open(bundle, opener) if encodes else None,
            fetch_urls=fetch_urls,
        )

    def encode(
        self,
        audios: Sound | Sequence[Sound],
        sr: int | None = None,
        return_dict: bool = True,
    ) -> Encoded | tuple[list[Any]]:
        """Turn sounds into codes, each as if it were alone.

        Codes of the first minute are those of the whole; a longer sound is encoded in windows.

        Args:
            audios: One or a list: a path, a URL (see `fetch_urls`), base64, the bytes of a sound
                file, or samples (n,) or (n, channels), floating point in [-1, 1] or PCM.
            sr: The rate of samples; files have their own.
            return_dict: Else a tuple.

        Raises:
            InputError: The bundle has no encoder, or a sound cannot be read.
            ArgumentError: Files and samples in one list, or something else.
            OSError: A file cannot be opened.
        """
        if self._encoder is None:
            raise InputError(
                f"the bundle of {self._manifest.checkpoint.name} has no codec encoder",
                "open one of a Base checkpoint or of the codec alone",
            )
        sounds: list[Any] = list(audios) if isinstance(audios, list | tuple) else [audios]
        if len({isinstance(sound, np.ndarray) for sound in sounds}) > 1:
            raise ArgumentError("Mixed input types are not supported: give only files, or arrays")
        samples = [self._samples(sound, sr) for sound in sounds]
        with self._lock:
            codes = [
                tensor(np.concatenate(list(self._encoder.windows([each])))) for each in samples
            ]
        return Encoded(codes) if return_dict else (codes,)

    def decode(self, encoded: Any) -> tuple[list[Samples], int]:
        """Turn codes into sounds.

        Args:
            encoded: What `encode` returned, a dict with `audio_codes`, or a list of such dicts.
                The codes are arrays or CPU tensors (frames, codebooks), or a batch of them that
                is padded with -1.

        Returns:
            The samples of each, and their rate.

        Raises:
            InputError: Codes of another shape, or outside the codebooks.
            ArgumentError: Something else.
        """
        if isinstance(encoded, list):
            if not all(isinstance(one, Mapping) for one in encoded):
                raise ArgumentError("`encoded` is a list; expected one of dicts")
            found: Any = [_codes(one) for one in encoded]
        elif hasattr(encoded, "audio_codes"):
            found = encoded.audio_codes
        elif isinstance(encoded, Mapping):
            found = _codes(encoded)
        else:
            raise ArgumentError("`encoded` must be an encode output, a dict, or a list of dicts")
        if not isinstance(found, list):
            found = as_array("audio_codes", found)
            found = list(found) if found.ndim == 3 else [found]
        codes = [as_array("audio_codes", each) for each in found]
        return [self._decoded(each) for each in codes], self._manifest.sample_rate

    def get_model_type(self) -> str:
        """`qwen3_tts_tokenizer_12hz`; there is no other here."""
        return TOKENIZER_TYPE

    def get_input_sample_rate(self) -> int:
        """Hz that `encode` works at, whatever it is given."""
        return self._manifest.sample_rate

    def get_output_sample_rate(self) -> int:
        """Hz that `decode` returns."""
        return self._manifest.sample_rate

    def get_encode_downsample_rate(self) -> int:
        """Samples a frame."""
        return self._manifest.samples_per_frame

    def get_decode_upsample_rate(self) -> int:
        """Samples a frame."""
        return self._manifest.samples_per_frame

    def _samples(self, sound: Sound, rate: int | None) -> Samples:
        """Mono at the codec's rate, mixed and converted as upstream."""
        if isinstance(sound, np.ndarray):
            if rate is None:
                raise InputError("an array does not say its sample rate", "give it as sr")
            rate = sample_rate(rate)
            check_rate(rate, "the audio")
            found = _mono(sound)
        else:
            found, rate = _read(local(sound, fetch_urls=self._fetch_urls))
        return resampled(found, rate, self._manifest.sample_rate)

    def _decoded(self, codes: npt.NDArray[Any]) -> Samples:
        if codes.ndim != 2 or not np.issubdtype(codes.dtype, np.integer):
            raise InputError(
                f"codes have shape {codes.shape} and are {codes.dtype}; expected whole numbers "
                f"(frames, {self._manifest.codebooks})"
            )
        # Padding is -1 in the first codebook and comes last; what upstream clamps is clamped.
        codes = np.maximum(codes[: int((codes[:, :1] > -1).sum())], 0).astype(np.int64)
        with self._lock:
            return self._decoder.decode(codes)


class MissingError(ArgumentError, KeyError):
    """A dict lacks what it should hold; also upstream's KeyError."""

    __str__ = Exception.__str__


def _codes(encoded: Mapping[str, Any]) -> Any:
    if "audio_codes" not in encoded:
        raise MissingError(
            f"`encoded` has {shown(', '.join(map(str, encoded)))} and no audio_codes"
        )
    return encoded["audio_codes"]


def _read(source: Any) -> tuple[Samples, int]:
    name = shown(source, quoted=False) if isinstance(source, Path) else "the audio"
    file = open_sound(io.BytesIO(source) if isinstance(source, bytes) else source, name)
    blocks = [mixed(block) for block in read_blocks(file, name)]
    if not blocks:
        raise InputError(f"{name} has no samples")
    return np.concatenate(blocks), file.samplerate


def _mono(samples: Array) -> Samples:
    if samples.ndim not in (1, 2) or not samples.size:
        raise InputError(f"samples have shape {samples.shape}; expected (n,) or (n, channels)")
    if samples.ndim == 2 and samples.shape[1] > samples.shape[0]:
        _log.warning(
            "samples of shape %s are %d channels, as upstream; transpose what is (channels, n)",
            samples.shape,
            samples.shape[1],
        )
    floats = scaled(samples, "the audio")
    return mixed(floats) if floats.ndim == 2 else floats
