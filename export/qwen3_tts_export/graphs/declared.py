"""The graphs of a bundle: each a network, the tensors that go in and out, and the carried state.

Every bundle has the frame and the codec decoder; the encoders are a base checkpoint's, to hear the
voice it is to clone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from qwen3_tts_edge.bundle.graph_spec import StateSpec, TensorSpec
from qwen3_tts_edge.bundle.manifest import (
    CODEC_DECODER,
    CODEC_ENCODER,
    FRAME,
    PREDICTOR_STEP,
    SPEAKER_ENCODER,
    TALKER_STEP,
    TOTAL,
)
from qwen3_tts_export.checkpoint.codec_config import CodecDecoderConfig, CodecEncoderConfig
from qwen3_tts_export.checkpoint.config import (
    CheckpointConfig,
    SpeakerEncoderConfig,
    TalkerConfig,
    TransformerConfig,
)
from qwen3_tts_export.modules.codec_decoder import CodecDecoder, state_shapes
from qwen3_tts_export.modules.codec_encoder import CodecEncoder
from qwen3_tts_export.modules.codec_encoder_weights import codec_encoder_weights
from qwen3_tts_export.modules.codec_weights import codec_decoder_weights
from qwen3_tts_export.modules.frame import (
    Frame,
    TalkerStep,
    frame_weights,
    talker_step_weights,
)
from qwen3_tts_export.modules.layers import Weights
from qwen3_tts_export.modules.predictor_step import PredictorStep, predictor_step_weights
from qwen3_tts_export.modules.speaker_encoder import SpeakerEncoder, speaker_encoder_weights


@dataclass(frozen=True)
class Graph:
    """What is traced.

    The network is called with the inputs in order and then, if there are states, the list of them.
    """

    name: str
    network: Callable[[], nn.Module]
    weights: Weights
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    states: tuple[StateSpec, ...]


def frame_graph(
    config: CheckpointConfig, tensors: Mapping[str, Tensor], max_positions: int
) -> Graph:
    """One frame step of talker and code predictor; many rows at once for the prompt."""
    talker = config.talker
    row = ("batch", 1, talker.hidden_size)
    return Graph(
        name=FRAME,
        network=lambda: Frame(config, max_positions),
        weights=frame_weights(tensors, config, max_positions),
        inputs=(
            _rows(talker),
            *_speaking(talker),
            _tensor("talker_ranks", "int64", "talker_ranks"),
            _tensor("predictor_ranks", "int64", "predictor_ranks"),
            _tensor(TOTAL, "int32", 1),
        ),
        outputs=(_tensor("codes", "int64", "batch", talker.num_codebooks),),
        states=(_state("feedback", "float32", *row), *_talker_states(talker)),
    )


def talker_step_graph(
    config: CheckpointConfig, tensors: Mapping[str, Tensor], max_positions: int
) -> Graph:
    """The first half of a frame step: code 0 and what the code predictor reads."""
    talker = config.talker
    row = ("batch", 1, talker.hidden_size)
    weights = talker_step_weights(tensors, config, max_positions)
    del weights["talker.embedding.weight"]  # codes are looked up in the other half
    return Graph(
        name=TALKER_STEP,
        network=lambda: TalkerStep(config, max_positions),
        weights=weights,
        inputs=(
            _rows(talker),
            _tensor("feedback", "float32", *row),
            *_speaking(talker),
        ),
        outputs=(_tensor("code", "int64", "batch"), _tensor("hidden", "float32", *row)),
        states=_talker_states(talker),
    )


def predictor_step_graph(config: CheckpointConfig, tensors: Mapping[str, Tensor]) -> Graph:
    """The second half, of which a frame takes one launch a codebook: the other codes."""
    talker = config.talker
    row = ("batch", 1, talker.hidden_size)
    return Graph(
        name=PREDICTOR_STEP,
        network=lambda: PredictorStep(config),
        weights=predictor_step_weights(tensors, config),
        inputs=(
            _tensor("hidden", "float32", *row),
            _tensor("code", "int64", "batch"),
            _tensor("length", "int64", "batch"),
            _tensor("step", "int64", 1),
            _draws(talker),
            *_settings(),
        ),
        outputs=(),
        states=(
            _state("codes", "int64", "batch", talker.num_codebooks),
            _state("feedback", "float32", *row),
            *_cache(config.predictor, talker.num_codebooks),
        ),
    )


def codec_decoder_graph(config: CodecDecoderConfig, tensors: Mapping[str, Tensor]) -> Graph:
    """Frames of codes to samples, any number of frames at a time."""
    return Graph(
        name=CODEC_DECODER,
        network=lambda: CodecDecoder(config),
        weights=codec_decoder_weights(tensors, config),
        inputs=(
            _tensor("codes", "int64", "batch", "frames", config.num_codebooks),
            _tensor("position", "int64", "batch"),
        ),
        outputs=(_tensor("samples", "float32", "batch", f"{config.samples_per_frame}*frames"),),
        states=tuple(
            _state(name, "float32", "batch", *shape) for name, shape in state_shapes(config).items()
        ),
    )


def codec_encoder_graph(config: CodecEncoderConfig, tensors: Mapping[str, Tensor]) -> Graph:
    """Samples to frames of codes, all of a reference at once."""
    frames = f"samples/{config.samples_per_frame}"
    return Graph(
        name=CODEC_ENCODER,
        network=lambda: CodecEncoder(config),
        weights=codec_encoder_weights(tensors, config),
        inputs=(_tensor("samples", "float32", "batch", "samples"),),
        outputs=(_tensor("codes", "int64", "batch", frames, config.num_codebooks),),
        states=(),
    )


def speaker_encoder_graph(config: SpeakerEncoderConfig, tensors: Mapping[str, Tensor]) -> Graph:
    """Mel frames to the vector of a voice."""
    return Graph(
        name=SPEAKER_ENCODER,
        network=lambda: SpeakerEncoder(config),
        weights=speaker_encoder_weights(tensors, config),
        inputs=(_tensor("mel", "float32", "batch", "mel_frames", config.mel_dim),),
        outputs=(_tensor("vector", "float32", "batch", config.vector_size),),
        states=(),
    )


def _rows(talker: TalkerConfig) -> TensorSpec:
    return _tensor("rows", "float32", "batch", "rows", talker.hidden_size)


def _speaking(talker: TalkerConfig) -> tuple[TensorSpec, ...]:
    """Where the rows lie and how codes are chosen; two of these are for code 0 alone."""
    return (
        _tensor("length", "int64", "batch"),
        _tensor("position", "int64", "batch"),
        _draws(talker),
        _tensor("allow_end", "bool", "batch"),
        *_settings(),
        _tensor("repetition_penalty", "float32", "batch"),
    )


def _draws(talker: TalkerConfig) -> TensorSpec:
    return _tensor("draws", "float32", "batch", talker.num_codebooks)


def _settings() -> tuple[TensorSpec, ...]:
    """Of two numbers, the talker's comes before the predictor's."""
    return (
        _tensor("temperature", "float32", "batch", 2),
        _tensor("top_k", "int64", "batch", 2),
        _tensor("top_p", "float32", "batch", 2),
    )


def _talker_states(talker: TalkerConfig) -> tuple[StateSpec, ...]:
    return (_state("seen", "bool", "batch", talker.vocab_size), *_cache(talker, "capacity"))


def _cache(config: TransformerConfig, capacity: int | str) -> tuple[StateSpec, ...]:
    shape = ("batch", config.num_kv_heads, capacity, config.head_dim)
    return tuple(
        StateSpec(
            past=_tensor(f"past_key_values.{layer}.{part}", "float32", *shape),
            present=f"present.{layer}.{part}",
        )
        for layer in range(config.num_layers)
        for part in ("key", "value")
    )


def _tensor(name: str, dtype: str, *shape: int | str) -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=shape)


def _state(name: str, dtype: str, *shape: int | str) -> StateSpec:
    return StateSpec(past=_tensor(f"past.{name}", dtype, *shape), present=f"present.{name}")
