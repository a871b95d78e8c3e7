"""The one door between export and runtime: what a bundle says about itself.

A bundle is a folder with `manifest.json`, ONNX graphs and their weights, tables of embedding rows,
and `tokenizer.json`. Export writes the manifest, the runtime reads it, and every number of the
model that the runtime uses stands in it. The bundle of a base checkpoint, which clones voices, has
two graphs and a table more than the others.
"""

import hashlib
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
from typing_extensions import Self

from qwen3_tts_edge.bundle.graph_spec import GraphSpec
from qwen3_tts_edge.bundle.names import INT8, ORT
from qwen3_tts_edge.errors import BundleError
from qwen3_tts_edge.files import Strict, write_json

FORMAT = 2
"""Rises whenever a bundle of the old format would be read wrongly."""

FILE = "manifest.json"
CODEC = "codec"
"""The model type of a bundle that holds the codec alone."""
FRAME, CODEC_DECODER = "frame", "codec_decoder"
TALKER_STEP, PREDICTOR_STEP = "talker_step", "predictor_step"
"""What the frame is in flavours that cannot have it as one graph."""
TOTAL = "total"
"""An input of the frame that backends keep in CPU memory and fill, see `backends.ort.frame`."""
CODEC_ENCODER, SPEAKER_ENCODER = "codec_encoder", "speaker_encoder"
TOKENIZER, TEXT_ROWS, CODEC_ROWS = "tokenizer.json", "text_rows.npy", "codec_rows.npy"
PREDICTOR_ROWS = "predictor_rows.npy"
"""(codebooks - 1, codebook_size, hidden): only where a clone's reference codes are read."""


def has_hash(path: Path, expected: str) -> bool:
    """Read a file and tell whether it has this sha256."""
    return sha256(path) == expected


class FileSpec(Strict, frozen=True):
    """A file of the bundle as it was written."""

    size: int
    sha256: str


class Origin(Strict, frozen=True):
    """The checkpoint a bundle was made from.

    `codec` is a fingerprint of the codec's weights alone, the same in every precision; None in
    bundles of before it was noted.
    """

    name: str
    revision: str | None
    fingerprint: str
    model_type: str
    model_size: str
    codec: str | None = None


class TextIds(Strict, frozen=True):
    """Text ids of the prompt's own words."""

    tts_pad: int
    tts_bos: int
    tts_eos: int


class ControlCodes(Strict, frozen=True):
    """Codebook-0 codes that steer instead of sounding."""

    bos: int
    pad: int
    think: int
    nothink: int
    think_bos: int
    think_eos: int
    end_of_speech: int


class SamplingDefaults(Strict, frozen=True):
    """What the checkpoint's generation_config.json asks for, by the official names."""

    do_sample: bool
    temperature: float
    top_k: int
    top_p: float
    repetition_penalty: float
    subtalker_dosample: bool
    subtalker_temperature: float
    subtalker_top_k: int
    subtalker_top_p: float
    max_new_tokens: int


class UtteranceLimits(Strict, frozen=True):
    """How much text a checkpoint speaks well in one go; a longer text is cut into pieces.

    Attributes:
        most_seconds: Of usual speech in one piece.
        most_sentences: In one piece; None for as many as there is time for.
    """

    most_seconds: float
    most_sentences: int | None


class CodecManifest(Strict, frozen=True):
    """What every bundle says of itself, and all that a bundle of the codec alone says."""

    format: int
    checkpoint: Origin
    precision: str
    flavour: str
    made_with: Mapping[str, str]
    sample_rate: int
    samples_per_frame: int
    codebooks: int
    codebook_size: int
    graphs: Mapping[str, GraphSpec]
    files: Mapping[str, FileSpec]

    @property
    def frames_per_second(self) -> float:
        """12.5 in every released checkpoint."""
        return self.sample_rate / self.samples_per_frame

    def save(self, folder: Path) -> None:
        """Write `manifest.json`, sorted and indented so that two of them can be compared."""
        write_json(folder / FILE, self)

    def verify(self, folder: Path, has: Callable[[Path, str], bool] = has_hash) -> None:
        """Compare every file with its size and hash.

        Args:
            folder: The bundle.
            has: Tells whether a file has a hash.

        Raises:
            BundleError: naming the first file that is missing or differs.
        """
        for name, spec in self.files.items():
            path = folder / name
            if not path.is_file():
                raise BundleError(f"{path} is missing", "export the bundle again")
            size = path.stat().st_size
            if size != spec.size:
                raise BundleError(
                    f"{path} has {size} bytes, the manifest says {spec.size}", "export it again"
                )
            if not has(path, spec.sha256):
                raise BundleError(
                    f"{path} is not what was exported: its sha256 differs from the manifest's",
                    "copy or export the bundle again",
                )


class Manifest(CodecManifest, frozen=True):
    """Everything the runtime knows about a model.

    `in_company` says whether a stream's codes are the same whoever else speaks: `equal` or
    `different` where that was measured, by the tests of this project, else `not measured`.

    The names of languages, speakers and dialects are in lower case.
    """

    hidden_size: int
    vocab_size: int
    max_positions: int
    text_ids: TextIds
    control_codes: ControlCodes
    languages: Mapping[str, int]
    speakers: Mapping[str, int]
    dialects: Mapping[str, str]
    takes_instruct: bool
    text_layout: str
    sampling: SamplingDefaults
    utterance: UtteranceLimits
    in_company: Literal["equal", "different", "not measured"]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read and check `manifest.json` of a bundle that speaks.

        Raises:
            BundleError: No manifest, another format, a key that is missing, unknown or wrong, or a
                bundle of the codec alone.
        """
        data, head = _read(folder)
        if head.checkpoint.model_type == CODEC:
            raise BundleError(
                f"{folder} holds the codec alone: it encodes and decodes, it does not speak",
                "export a whole checkpoint",
            )
        return _checked(folder, data, cls)


M = TypeVar("M", bound=CodecManifest)


def load_codec(folder: Path) -> CodecManifest:
    """Read `manifest.json` of a bundle whose codec is wanted: any bundle, or the codec's own.

    Raises:
        BundleError: As for `Manifest.load`.
    """
    data, head = _read(folder)
    alone = head.checkpoint.model_type == CODEC
    return _checked(folder, data, CodecManifest if alone else Manifest)


def _checked(folder: Path, data: bytes, kind: type[M]) -> M:
    """Decode a manifest; what it opens must be the files that it vouches for."""
    path = folder / FILE
    try:
        manifest = msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise BundleError(f"{path} is damaged: {error}", "export the bundle again") from error
    opened = {graph.file for graph in manifest.graphs.values()}
    strange = sorted(
        (opened - manifest.files.keys()) | {n for n in manifest.files if _leads_out(n)}
    )
    if strange:
        raise BundleError(
            f"{path} is damaged: {strange[0]!r} is not one of the bundle's own files",
            "export the bundle again",
        )
    return manifest


def _leads_out(name: str) -> bool:
    return name in ("", ".", "..") or "/" in name or "\\" in name or ":" in name


class _Origin(msgspec.Struct):
    model_type: str
    name: str = "CHECKPOINT"


class _Head(msgspec.Struct):
    """What manifests of every format say."""

    format: int
    checkpoint: _Origin
    precision: str = INT8
    flavour: str = ORT


def _making(folder: Path) -> str:
    """Say how a bundle comes of what was given in place of one."""
    if inside := sorted(path.parent for path in folder.glob(f"*/{FILE}")):
        return f"there is one inside: {inside[0]}"
    given, to = "CHECKPOINT", "DIR"
    if (folder / "config.json").exists():
        given, to = str(folder), f"{folder}-bundle"
    elif not folder.exists() and not folder.is_absolute() and len(folder.parts) == 2:  # of a hub
        given, to = folder.as_posix(), folder.name
    return f"make one: qwen3-tts-export bundle {shlex.quote(given)} -o {shlex.quote(to)}"


def _read(folder: Path) -> tuple[bytes, _Head]:
    path = folder / FILE
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{folder} is not a bundle: no {FILE} ({error.strerror})",
            _making(folder),
        ) from error
    try:
        head = msgspec.json.decode(data, type=_Head)
    except msgspec.DecodeError as error:
        raise BundleError(f"{path} is damaged: {error}", "export the bundle again") from error
    if head.format < FORMAT:
        raise BundleError(
            f"{path} is of format {head.format}, this version reads format {FORMAT}",
            f"make it new: qwen3-tts-export bundle {_source(head.checkpoint.name)} --precision "
            f"{head.precision} --flavour {head.flavour} -o {folder.name}-{FORMAT}",
        )
    if head.format > FORMAT:
        raise BundleError(
            f"{path} is of format {head.format}, this version reads format {FORMAT}",
            "run: pip install --upgrade qwen3-tts-edge",
        )
    return data, head


def _source(checkpoint: str) -> str:
    """Where a checkpoint comes from: those of Qwen have their own name on the hub."""
    return f"Qwen/{checkpoint}" if checkpoint.startswith("Qwen3-TTS-") else checkpoint


def sha256(path: Path) -> str:
    """Hash a file without holding it in memory."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
