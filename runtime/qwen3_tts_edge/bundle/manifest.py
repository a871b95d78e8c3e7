"""The one door between export and runtime: what a bundle says about itself.

A bundle is a folder with `manifest.json`, ONNX graphs and their weights, tables of embedding rows,
and `tokenizer.json`. Export writes the manifest, the runtime reads it, and every number of the
model that the runtime uses stands in it. The bundle of a base checkpoint, which clones voices, has
two graphs and a table more than the others.
"""

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta
from typing_extensions import Self

from qwen3_tts_edge.bundle import own_files
from qwen3_tts_edge.bundle.graph_spec import GraphSpec
from qwen3_tts_edge.bundle.head import FILE, damaged, read_head
from qwen3_tts_edge.bundle.names import MODEL_TYPES
from qwen3_tts_edge.bundle.own_files import FileSpec, leads_out
from qwen3_tts_edge.errors import BundleError, quoted, reason, shortened
from qwen3_tts_edge.files import NOT_JSON, Strict, write_json

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


_Count = Annotated[int, Meta(ge=1, le=1 << 31)]
_Id = Annotated[int, Meta(ge=0, le=1 << 31)]
Rank = Annotated[int, Meta(ge=0, le=1 << 31)]
Positive = Annotated[float, Meta(gt=1e-37, lt=1e30)]
Share = Annotated[float, Meta(gt=1e-37, le=1)]
"""What a setting of sampling may be; of less, float32 makes 0."""

Tokens = Annotated[int, Meta(ge=2)]


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

    tts_pad: _Id
    tts_bos: _Id
    tts_eos: _Id


class ControlCodes(Strict, frozen=True):
    """Codebook-0 codes that steer instead of sounding."""

    bos: _Id
    pad: _Id
    think: _Id
    nothink: _Id
    think_bos: _Id
    think_eos: _Id
    end_of_speech: _Id


class SamplingDefaults(Strict, frozen=True):
    """What the checkpoint's generation_config.json asks for, by the official names."""

    do_sample: bool
    temperature: Positive
    top_k: Rank
    top_p: Share
    repetition_penalty: Positive
    subtalker_dosample: bool
    subtalker_temperature: Positive
    subtalker_top_k: Rank
    subtalker_top_p: Share
    max_new_tokens: Tokens


class UtteranceLimits(Strict, frozen=True):
    """How much text a checkpoint speaks well in one go; a longer text is cut into pieces.

    Attributes:
        most_seconds: Of usual speech in one piece.
        most_sentences: In one piece; None for as many as there is time for.
    """

    most_seconds: Positive
    most_sentences: _Count | None


class CodecManifest(Strict, frozen=True):
    """What every bundle says of itself, and all that a bundle of the codec alone says."""

    format: int
    checkpoint: Origin
    precision: str
    flavour: str
    made_with: Mapping[str, str]
    sample_rate: _Count
    samples_per_frame: _Count
    codebooks: _Count
    codebook_size: _Count
    graphs: Mapping[str, GraphSpec]
    files: Mapping[str, FileSpec]

    @property
    def frames_per_second(self) -> float:
        """12.5 in every released checkpoint."""
        return self.sample_rate / self.samples_per_frame

    def save(self, folder: Path) -> None:
        """Write `manifest.json`, sorted and indented so that two of them can be compared."""
        write_json(folder / FILE, self)

    def graph(self, name: str) -> GraphSpec:
        """Find a graph.

        Raises:
            BundleError: There is none of that name.
        """
        return graph_named(name, self.graphs)

    def files_of(self, *graphs: str) -> dict[str, FileSpec]:
        """List the files of graphs, sorted: each has its graph's name, as `frame.onnx` and `.data`.

        Args:
            *graphs: By name; one that is not there has none.
        """
        names = {Path(self.graphs[name].file).stem for name in graphs if name in self.graphs}
        return {file: spec for file, spec in sorted(self.files.items()) if Path(file).stem in names}

    def size_of(self, graph: str) -> int:
        """Add up the bytes of a graph and its weights."""
        return sum(spec.size for spec in self.files_of(graph).values())

    def place(self, folder: Path, name: str) -> Path:
        """Give the place of a file of the bundle.

        Raises:
            BundleError: It is not one that the manifest vouches for.
        """
        if name not in self.files:
            raise _strange(folder / FILE, name)
        return folder / name

    def verify(self, folder: Path, *graphs: str, has: own_files.Has = own_files.has_hash) -> None:
        """Compare files with their size and hash. None is opened that is not the bundle's own.

        Nor will one be by who reads a graph: where its weights lie was looked at.

        Args:
            folder: Of the bundle.
            *graphs: Whose files are compared, of those that there are; none is every file.
            has: Tells whether a file has a hash.

        Raises:
            BundleError: Names the first file that is missing, differs or is not the bundle's own.
        """
        for file, spec in (self.files_of(*graphs) if graphs else self.files).items():
            own_files.compare(folder / file, spec, has)
        for name, graph in self.graphs.items():
            if not graphs or name in graphs:
                own_files.check_weights(folder / graph.file, self.files.keys())


InCompany: TypeAlias = Literal["equal", "equal with avx512_vnni", "different", "not measured"]
"""Whether a stream's codes are the same whoever else speaks: `equal`, where the processor has what
is named, or `different` where the tests of this project measured it."""


class Manifest(CodecManifest, frozen=True):
    """Everything the runtime knows about a model.

    The names of languages, speakers and dialects are in lower case.
    """

    hidden_size: _Count
    vocab_size: _Count
    max_positions: _Count
    text_ids: TextIds
    control_codes: ControlCodes
    languages: Mapping[str, _Id]
    speakers: Mapping[str, _Id]
    dialects: Mapping[str, str]
    takes_instruct: bool
    text_layout: str
    sampling: SamplingDefaults
    utterance: UtteranceLimits
    in_company: InCompany

    @property
    def speaker_names(self) -> list[str]:
        """The named speakers, sorted; empty for a checkpoint that has none."""
        return sorted(self.speakers, key=str.lower)

    @property
    def language_names(self) -> list[str]:
        """The languages that can be asked for, sorted. Dialects come with their speaker.

        Source: Qwen3TTSForConditionalGeneration.__init__ in
            qwen_tts/core/models/modeling_qwen3_tts.py.
        """
        return sorted(name for name in self.languages if "dialect" not in name)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read and check `manifest.json` of a bundle that speaks.

        Raises:
            BundleError: No manifest, another format, a key that is missing, unknown or wrong, or a
                bundle of the codec alone.
        """
        data, head = read_head(folder)
        if head.checkpoint.model_type == CODEC:
            raise BundleError(
                f"{folder} holds the codec alone: it encodes and decodes, it does not speak",
                "export a whole checkpoint",
            )
        if head.checkpoint.model_type not in MODEL_TYPES:
            raise BundleError(
                f"{folder / FILE} is of a checkpoint of the type "
                f"{quoted(head.checkpoint.model_type)}; this version speaks with "
                f"{', '.join(MODEL_TYPES)}",
                "run: pip install --upgrade qwen3-tts-edge, or export the bundle again",
            )
        return _checked(folder, data, cls)


_FRAMES_PER_SECOND = (1, 100)
"""More of them would make a KV cache that no machine holds."""

M = TypeVar("M", bound=CodecManifest)


def load_codec(folder: Path) -> CodecManifest:
    """Read `manifest.json` of a bundle whose codec is wanted: any bundle, or the codec's own.

    Raises:
        BundleError: As for `Manifest.load`.
    """
    data, head = read_head(folder)
    alone = head.checkpoint.model_type == CODEC
    return _checked(folder, data, CodecManifest if alone else Manifest)


def _checked(folder: Path, data: bytes, kind: type[M]) -> M:
    """Decode a manifest; what it opens must be the files that it vouches for."""
    path = folder / FILE
    try:
        manifest = msgspec.json.decode(data, type=kind)
    except NOT_JSON as error:
        raise damaged(path, reason(error)) from error
    opened = {graph.file for graph in manifest.graphs.values()}
    strange = (opened - manifest.files.keys()) | {n for n in manifest.files if leads_out(n)}
    if strange:
        raise _strange(path, min(strange))
    if not _FRAMES_PER_SECOND[0] <= manifest.frames_per_second <= _FRAMES_PER_SECOND[1]:
        raise damaged(
            path,
            f"{manifest.samples_per_frame} samples a frame at {manifest.sample_rate} Hz are no "
            "frame rate",
        )
    _check_codebooks(path, manifest)
    if isinstance(manifest, Manifest):
        _check_codes(path, manifest)
    return manifest


def _check_codebooks(path: Path, manifest: CodecManifest) -> None:
    """Refuse graphs of another number of codebooks."""
    for name, graph in manifest.graphs.items():
        for tensor in (*graph.inputs, *graph.outputs):
            if tensor.name == "codes" and tensor.shape[-1:] != (manifest.codebooks,):
                raise damaged(
                    path,
                    f"the codes of {shortened(name)} are not of {manifest.codebooks} codebooks",
                )


def _check_codes(path: Path, manifest: Manifest) -> None:
    """Refuse ids that the talker's vocabulary does not have."""
    control: dict[str, int] = msgspec.structs.asdict(manifest.control_codes)
    codes = (control, manifest.languages, manifest.speakers)
    for name, code in chain.from_iterable(each.items() for each in codes):
        if code >= manifest.vocab_size:
            raise damaged(path, f"{shortened(name)} is {code}, of {manifest.vocab_size} codes")


def _strange(path: Path, name: str) -> BundleError:
    return damaged(path, f"{quoted(name)} is not one of the bundle's own files")


def graph_named(name: str, graphs: Mapping[str, GraphSpec]) -> GraphSpec:
    """Find a graph in those of a manifest.

    Raises:
        BundleError: There is none of that name.
    """
    if name not in graphs:
        raise BundleError(f"{FILE} describes no graph {name}", "export the bundle again")
    return graphs[name]
