"""Load a checkpoint with the official classes, and listen in while they run."""

import functools
import importlib.metadata
import importlib.util
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import torch

from oracle.cases import Case, reference_values
from qwen3_tts_export.checkpoint.text_tokenizer import SPLIT_PATTERN

VERSIONS = {"qwen-tts": "0.1.1", "transformers": "4.57.3"}

Rows = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]
Samples = npt.NDArray[np.float32]


class Prompt(NamedTuple):
    """What official `generate` hands to `talker.generate`, and the ids it made that from."""

    rows: Rows
    """float32 (n, hidden): upstream's `talker_input_embeds`."""
    text_rows: Rows
    """float32 (m, hidden): upstream's `trailing_text_hidden`, one a frame."""
    pad_row: Rows
    """float32 (hidden,): upstream's `tts_pad_embed`, the text row of every later frame."""
    input_ids: list[int]
    """The whole wrapped text; its own ids are `[3:-5]`."""
    instruct_ids: list[int] | None
    """The whole wrapped instruction, or None where upstream adds none."""


class Cloned(NamedTuple):
    """What the official package hears in a recording, and says in its voice."""

    vector: Rows
    """float32 (hidden,)."""
    codes: Codes | None
    """int64 (frames, 16) of the recording, or None where the clone is of the vector alone."""
    samples: Samples


class _Stop(Exception):  # noqa: N818
    """Enough was heard; what the official code would do next is not needed."""


class Official:
    """One checkpoint in the official package."""

    def __init__(self, wrapper: Any) -> None:
        self.wrapper = wrapper
        self.model = wrapper.model
        self.talker = wrapper.model.talker
        self.decoder = wrapper.model.speech_tokenizer.model.decoder

    def prompt(self, case: Case) -> Prompt:
        """Build the prompt of `case`.

        Source: `Qwen3TTSForConditionalGeneration.generate` up to its call of `talker.generate`,
            qwen_tts/core/models/modeling_qwen3_tts.py.
        """
        heard: dict[str, Any] = {}
        whole = self.model.generate

        def model_generate(**kwargs: Any) -> None:
            heard.update(kwargs)
            whole(**kwargs)

        def talker_generate(**kwargs: Any) -> None:
            heard.update(kwargs)
            raise _Stop

        with (
            _replaced(self.model, "generate", model_generate),
            _replaced(self.talker, "generate", talker_generate),
        ):
            self._speak(case)
        if not bool(heard["attention_mask"].all()):
            raise AssertionError("a prompt alone in its batch is never padded")
        instruct = heard.get("instruct_ids", [None])[0]
        return Prompt(
            rows=heard["inputs_embeds"][0].numpy(),
            text_rows=heard["trailing_text_hidden"][0].numpy(),
            pad_row=heard["tts_pad_embed"][0, 0].numpy(),
            input_ids=heard["input_ids"][0][0].tolist(),
            instruct_ids=None if instruct is None else instruct[0].tolist(),
        )

    def codes(self, case: Case, frames: int, *, seed: int = 0, **sampling: Any) -> Codes:
        """Generate up to `frames` frames; greedy unless told otherwise.

        Args:
            case: The request.
            frames: The most frames to make; fewer if end of speech comes first.
            seed: Of torch's generator, for sampled runs. The global generator is left as it was.
            **sampling: Official names: do_sample, subtalker_dosample, repetition_penalty,
                temperature, top_k, top_p, subtalker_temperature, … What is left out comes from the
                checkpoint's generation_config.json, except the first two (False) and
                repetition_penalty (1.05).

        Returns:
            int64 (n, 16), n ≤ frames, codebook 0 first.

        Source: `Qwen3TTSModel.generate_*`, qwen_tts/inference/qwen3_tts_model.py.
        """
        heard: list[torch.Tensor] = []
        whole = self.model.generate

        def model_generate(**kwargs: Any) -> None:
            codes, _ = whole(**kwargs)
            heard.append(codes[0])
            raise _Stop

        with torch.random.fork_rng(devices=[]), _replaced(self.model, "generate", model_generate):
            torch.manual_seed(seed)
            self._speak(case, max_new_tokens=frames + 1, **sampling)
        return heard[0].cpu().numpy()

    def speech(self, case: Case, frames: int) -> tuple[Samples, Codes]:
        """Speak `case` to the end, greedy: the samples that the public method returns, and codes.

        Arguments are those of `codes`.
        """
        heard: list[torch.Tensor] = []
        whole = self.model.generate

        def model_generate(**kwargs: Any) -> Any:
            codes, hidden = whole(**kwargs)
            heard.append(codes[0])
            return codes, hidden

        with _replaced(self.model, "generate", model_generate):
            samples, _ = self._call(case, max_new_tokens=frames + 1)
        return samples[0], heard[0].numpy()

    def cloned(
        self,
        samples: Samples,
        rate: int,
        said: str | None,
        text: str,
        *,
        frames: int,
        language: str,
        non_streaming: bool,
    ) -> Cloned:
        """Speak `text` in the voice of a recording: samples in, samples out, greedy.

        Args:
            samples: The recording, float32 (n,) or (n, channels).
            rate: Its samples a second.
            said: Its words; None clones by the speaker vector alone.
            text: What to say.
            frames: The most frames to make.
            language: Of the text.
            non_streaming: The layout.
        """
        asked: dict[str, Any] = {"ref_text": said, "x_vector_only_mode": said is None}
        (item,) = self.wrapper.create_voice_clone_prompt((samples, rate), **asked)
        (spoken,), _ = self.wrapper.generate_voice_clone(
            text,
            language=language,
            ref_audio=(samples, rate),
            non_streaming_mode=non_streaming,
            do_sample=False,
            subtalker_dosample=False,
            repetition_penalty=1.05,
            max_new_tokens=frames + 1,
            **asked,
        )
        codes = None if said is None else item.ref_code.numpy()
        return Cloned(item.ref_spk_embedding.float().numpy(), codes, spoken)

    def teacher_forced(self, case: Case, codes: Codes) -> tuple[Rows, Rows]:
        """Feed given codes, whatever the model would have said, and record its logits.

        Args:
            case: The request that is spoken.
            codes: int64 (frames, 16).

        Returns:
            talker: float32 (frames, vocab); row t is what codes[t, 0] is chosen from.
            predictor: float32 (frames, 15, codebook); [t, k] is what codes[t, k + 1] is chosen
                from, with codes[t, : k + 1] given.

        Source: official `generate` itself, with the choice taken away by a logits processor.
        """
        given = torch.tensor(np.asarray(codes), dtype=torch.long)
        talker_logits: list[torch.Tensor] = []
        predictor_logits: list[torch.Tensor] = []
        whole_talker = self.talker.generate
        whole_predictor = self.talker.code_predictor.generate

        def talker_generate(**kwargs: Any) -> None:
            forced = {"logits_processor": [_forced(given[:, 0])], "output_logits": True}
            result = whole_talker(**kwargs, **forced)
            talker_logits.extend(result.logits[: len(given)])
            raise _Stop

        def predictor_generate(**kwargs: Any) -> Any:
            row = given[len(predictor_logits), 1:]
            forced = {"logits_processor": [_forced(row)], "output_logits": True}
            result = whole_predictor(**kwargs, **forced)
            predictor_logits.append(torch.cat(result.logits))
            return result

        with (
            _replaced(self.talker, "generate", talker_generate),
            _replaced(self.talker.code_predictor, "generate", predictor_generate),
        ):
            self._speak(case, max_new_tokens=len(given) + 1)
        return torch.cat(talker_logits).numpy(), torch.stack(predictor_logits).numpy()

    def decode(self, codes: Codes) -> Samples:
        """Decode all frames in one forward, what a stream must equal.

        Args:
            codes: int64 (frames, 16).

        Returns:
            float32 (frames · 1920,) in [-1, 1].

        Source: `Qwen3TTSTokenizerV2Decoder.forward`,
            qwen_tts/core/tokenizer_12hz/modeling_qwen3_tts_tokenizer_v2.py.
        """
        with torch.inference_mode():
            return self.decoder(torch.tensor(codes).T[None])[0, 0].numpy()

    def decode_chunked(self, codes: Codes) -> Samples:
        """Decode as the official package does: 300 frames at a time after 25 frames of context.

        Args:
            codes: int64 (frames, 16).

        Returns:
            float32 (frames · 1920,). Equal to `decode` up to 300 frames.

        Source: `Qwen3TTSTokenizer.decode`, qwen_tts/inference/qwen3_tts_tokenizer.py.
        """
        samples, _ = self.model.speech_tokenizer.decode([{"audio_codes": np.asarray(codes)}])
        return samples[0]

    def live_processors(self, case: Case, **sampling: Any) -> tuple[list[Any], list[Any]]:
        """Record the logits processors of a two-code run: (the talker's, the code predictor's)."""
        talker, predictor = self.talker, self.talker.code_predictor
        heard: list[list[Any]] = []

        def listen(whole: Callable[..., Any]) -> Callable[..., Any]:
            def record(*args: Any, **kwargs: Any) -> Any:
                heard.append(whole(*args, **kwargs))
                return heard[-1]

            return record

        name = "_get_logits_processor"
        with (
            _replaced(talker, name, listen(talker._get_logits_processor)),
            _replaced(predictor, name, listen(predictor._get_logits_processor)),
        ):
            self.codes(case, 1, **sampling)
        return list(heard[0]), list(heard[1])

    def _speak(self, case: Case, **sampling: Any) -> None:
        """Call the public method for `case` until somebody has heard enough."""
        try:
            self._call(case, **sampling)
        except _Stop:
            return
        raise AssertionError(f"nobody listened to {case}")

    def _call(self, case: Case, **sampling: Any) -> Any:
        """Call the public method for `case`, greedy unless told otherwise."""
        request: dict[str, Any] = {
            "text": case.text.strip(),
            "language": case.language,
            "non_streaming_mode": case.non_streaming,
        }
        instruct = None if case.instruct is None else case.instruct.strip()
        if case.kind == "custom_voice":
            speak = self.wrapper.generate_custom_voice
            request |= {"speaker": case.speaker, "instruct": instruct}
        elif case.kind == "voice_design":
            speak = self.wrapper.generate_voice_design
            request |= {"instruct": instruct}
        else:
            speak = self.wrapper.generate_voice_clone
            request |= {"voice_clone_prompt": [self._clone(case)]}
        greedy = {"do_sample": False, "subtalker_dosample": False, "repetition_penalty": 1.05}
        return speak(**request, **{**greedy, **sampling})

    def _clone(self, case: Case) -> Any:
        import qwen_tts

        if case.reference is None:
            raise ValueError(f"{case} has no reference")
        vector, codes = reference_values(
            case.reference,
            hidden_size=self.talker.config.hidden_size,
            codebook_size=self.talker.config.code_predictor_config.vocab_size,
        )
        text = case.reference.text
        return qwen_tts.VoiceClonePromptItem(
            ref_code=None if text is None else torch.from_numpy(codes),
            ref_spk_embedding=torch.from_numpy(vector),
            x_vector_only_mode=text is None,
            icl_mode=text is not None,
            ref_text=None if text is None else text.strip(),
        )


def load_official(
    folder: Path | str,
    *,
    dtype: torch.dtype = torch.float32,
    attention: str = "eager",
    device: str = "cpu",
) -> Official:
    """Load a checkpoint folder in the official format.

    The parts are put together by hand, as `Qwen3TTSModel.from_pretrained` would, because that one
    asks for `fix_mistral_regex=True`: it swaps the pattern of any local tokenizer of more than
    100,000 tokens unless config.json names a transformers before 4.57.3 or from 5.0 on.

    Skips the test if the official package is not installed; any other trouble is an error.
    """
    package = _package()
    model = package.core.models.Qwen3TTSForConditionalGeneration.from_pretrained(
        str(folder), dtype=dtype, attn_implementation=attention, local_files_only=True
    )
    model = model.eval().to(device)
    return Official(package.Qwen3TTSModel(model, load_processor(folder), model.generate_config))


def load_processor(folder: Path | str) -> Any:
    """Load the official text processor of a folder, sure to have Qwen's split pattern."""
    processor = _package().core.models.Qwen3TTSProcessor.from_pretrained(
        str(folder), fix_mistral_regex=False, local_files_only=True
    )
    split = processor.tokenizer.backend_tokenizer.pre_tokenizer.__getstate__().decode()
    if repr(SPLIT_PATTERN)[1:-1] not in split:
        raise AssertionError(f"{folder}: the official tokenizer does not split as Qwen's: {split}")
    return processor


@functools.cache
def _package() -> Any:
    """Import the official package once, without its 25 Hz tokenizer."""
    if importlib.util.find_spec("qwen_tts") is None:
        pytest.skip("the official package is not installed: pip install --no-deps qwen-tts==0.1.1")
    for name, wanted in VERSIONS.items():
        found = importlib.metadata.version(name)
        if found != wanted:
            raise RuntimeError(f"the oracle is {name}=={wanted}, found {found}; install that one")
    stub = types.ModuleType("qwen_tts.core.tokenizer_25hz.modeling_qwen3_tts_tokenizer_v1")
    stub.Qwen3TTSTokenizerV1Model = type("Qwen3TTSTokenizerV1Model", (), {})  # type: ignore[attr-defined]
    sys.modules.setdefault(stub.__name__, stub)
    import qwen_tts

    from oracle import masks

    masks.install()
    return qwen_tts


@contextmanager
def _replaced(module: torch.nn.Module, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Put a function before a module's own method for a while."""
    setattr(module, name, function)
    try:
        yield
    finally:
        delattr(module, name)


def _forced(tokens: torch.Tensor) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Make a logits processor that leaves only `tokens[step]` to choose."""

    def only(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        step = ids.shape[1]
        if step >= len(tokens):
            return scores
        alone = torch.full_like(scores, -torch.inf)
        alone[:, tokens[step]] = 0.0
        return alone

    return only
