"""`Qwen3TTSModel`: the official class over a `Synthesizer`."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from typing_extensions import Self, Unpack

from qwen3_tts_edge.arrays import Samples
from qwen3_tts_edge.backends import check_threads
from qwen3_tts_edge.bundle.memory import check_seconds
from qwen3_tts_edge.bundle.names import (
    BASE,
    CUSTOM_VOICE,
    STREAMED,
    UPFRONT,
    VOICE_DESIGN,
    ModelType,
)
from qwen3_tts_edge.compat import opening, options
from qwen3_tts_edge.compat.clone_prompt import VoiceClonePromptItem, clone, items
from qwen3_tts_edge.compat.inside import Inside
from qwen3_tts_edge.compat.loading import Loading
from qwen3_tts_edge.compat.options import (
    Options,
    as_list,
    beside,
    check_names,
    check_strings,
    or_auto,
    shown,
    truth,
)
from qwen3_tts_edge.compat.sounds import AudioLike, local
from qwen3_tts_edge.compat.tensors import tensor
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.opened import Opened
from qwen3_tts_edge.speech.chunk import Audio
from qwen3_tts_edge.speech.request import Request
from qwen3_tts_edge.synthesizer import Synthesizer
from qwen3_tts_edge.voices.matching import kept_type
from qwen3_tts_edge.voices.reference import read_reference
from qwen3_tts_edge.voices.voice import Voice

Wavs = tuple[list[Samples], int]
"""Samples of each text, float32 (n,) in [-1, 1], and their rate, 24000."""

ClonePrompt = list[VoiceClonePromptItem] | VoiceClonePromptItem | Mapping[str, Any]

_log = logging.getLogger(__name__)


class Qwen3TTSModel(Opened):
    """A model by the official names. `from_pretrained` is the way in.

    Several threads may share it: they take turns, one frame each.

    Attributes:
        synthesizer: What speaks; here for what the official names have no words for.

    Source: Qwen3TTSModel in qwen_tts/inference/qwen3_tts_model.py.
    """

    def __init__(self, synthesizer: Synthesizer, *, fetch_urls: bool = False) -> None:
        """Take a synthesizer; `fetch_urls` as in `from_pretrained`."""
        self.synthesizer = synthesizer
        self._fetch_urls = fetch_urls

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        threads: int | None = None,
        max_seconds: float | None = None,
        fetch_urls: bool = False,
        **given: Unpack[Loading],
    ) -> Self:
        """Open a bundle, or a checkpoint: that is exported once, into a cache, in minutes.

        Args:
            pretrained_model_name_or_path: A bundle folder, an official checkpoint folder, or a
                hub id such as `Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice`.
            threads: CPU threads; None is one per physical core.
            max_seconds: The longest utterance there is memory for; None is 160.
            fetch_urls: Allow reference audio to be fetched from the network.
            **given: See `Loading`.

        Raises:
            ArgumentError: An unknown keyword argument.
            InputError: What was asked for is not to be had; says what is.
            BackendError: There is no backend for the device.
            CheckpointError: The hub does not give the checkpoint, or not whole.
            BundleError: The bundle is damaged, or the checkpoint could not be exported.
        """
        fetch_urls = truth("fetch_urls", fetch_urls)
        check_threads(threads)  # before minutes of exporting
        if max_seconds is not None:
            check_seconds(max_seconds)
        folder, backend = opening.bundle(pretrained_model_name_or_path, given)
        tts = Synthesizer.open(folder, backend=backend, threads=threads, max_seconds=max_seconds)
        return cls(tts, fetch_urls=fetch_urls)

    @property
    def model(self) -> Inside:
        """What the official demo asks of the model inside; no other of its attributes is there."""
        origin = self.synthesizer.manifest.checkpoint
        return Inside(
            origin.model_type,
            origin.model_size,
            tuple(self.get_supported_languages()),
            tuple(self.get_supported_speakers()),
        )

    def get_supported_speakers(self) -> list[str]:
        """The named speakers in lower case, sorted; empty where there are none."""
        return sorted(name.lower() for name in self.synthesizer.speakers)

    def get_supported_languages(self) -> list[str]:
        """What `language` may be, in any letter case, sorted."""
        return sorted(self.synthesizer.languages)

    def generate_custom_voice(
        self,
        text: str | list[str],
        speaker: str | list[str],
        language: str | list[str] | None = None,
        instruct: str | list[str] | None = None,
        non_streaming_mode: bool | None = True,
        **given: Unpack[Options],
    ) -> Wavs:
        """Speak with a named speaker of a CustomVoice checkpoint.

        Lists are a batch; what is not a list, or a list of one, goes for all texts.

        Args:
            text: What to say.
            speaker: Who says it, in any letter case; None where the checkpoint names nobody.
            language: None is `Auto`.
            instruct: How to say it, in words; the 0.6B drops it, with a warning in the log.
            non_streaming_mode: The whole text goes into the prompt; else, or with None, one token a
                frame.
            **given: See `Options`.

        Returns:
            The samples of each text, and their rate.

        Raises:
            InputError: Another kind of checkpoint, lists of other lengths, or something asked for
                is not to be had.
            ArgumentError: An unknown keyword argument.
        """
        given = options.checked(given, self.synthesizer.manifest)
        self._expect(CUSTOM_VOICE, "generate_custom_voice")
        check_strings("instruct", as_list(instruct))
        if not self.synthesizer.manifest.takes_instruct:
            if any(as_list(instruct)):
                _log.warning(
                    "this checkpoint takes no instruction and %s is dropped", shown(instruct)
                )
            instruct = None
        texts = as_list(text)
        languages, speakers, instructs = beside(
            texts, language=or_auto(language), speaker=speaker, instruct=instruct
        )
        check_names("languages", languages, self.synthesizer.languages)
        supported = self.get_supported_speakers()
        if supported or any(speakers):
            check_names("speakers", speakers, supported)
        voices = [Voice.speaker(name) if name else None for name in speakers]
        return self._speak(texts, voices, languages, instructs, non_streaming_mode, given)

    def generate_voice_design(
        self,
        text: str | list[str],
        instruct: str | list[str],
        language: str | list[str] | None = None,
        non_streaming_mode: bool | None = True,
        **given: Unpack[Options],
    ) -> Wavs:
        """Speak with a voice that is described in words, of a VoiceDesign checkpoint.

        Args:
            text: What to say.
            instruct: The voice; "" leaves it to the model.
            language: As for `generate_custom_voice`, which see for the rest too.
            non_streaming_mode: The whole text goes into the prompt; else one token a frame.
            **given: See `Options`.

        Returns:
            The samples of each text, and their rate.

        Raises:
            InputError: As for `generate_custom_voice`.
            ArgumentError: An unknown keyword argument.
        """
        given = options.checked(given, self.synthesizer.manifest)
        self._expect(VOICE_DESIGN, "generate_voice_design")
        texts = as_list(text)
        languages, instructs = beside(texts, language=or_auto(language), instruct=instruct)
        check_names("languages", languages, self.synthesizer.languages)
        check_strings("instruct", instructs)
        voices = [Voice.design(described or "") for described in instructs]
        none = [None] * len(texts)
        return self._speak(texts, voices, languages, none, non_streaming_mode, given)

    def generate_voice_clone(
        self,
        text: str | list[str],
        language: str | list[str] | None = None,
        ref_audio: AudioLike | list[AudioLike] | None = None,
        ref_text: str | list[str | None] | None = None,
        x_vector_only_mode: bool | list[bool] = False,
        voice_clone_prompt: ClonePrompt | None = None,
        non_streaming_mode: bool | None = False,
        **given: Unpack[Options],
    ) -> Wavs:
        """Speak with a voice that is heard from a recording, of a Base checkpoint.

        Args:
            text: What to say.
            language: As for `generate_custom_voice`, which see for the rest too.
            ref_audio: As for `create_voice_clone_prompt`, as the next two.
            ref_text: What the recording says.
            x_vector_only_mode: Only the speaker vector is used.
            voice_clone_prompt: What `create_voice_clone_prompt` returned, instead of these three.
            non_streaming_mode: The whole text goes into the prompt; else one token a frame.
            **given: See `Options`.

        Returns:
            The samples of each text, without the reference's, and their rate.

        Raises:
            InputError: As for `generate_custom_voice`, or the recording is no material.
            ArgumentError: An unknown keyword argument, or audio of an unknown type.
        """
        given = options.checked(given, self.synthesizer.manifest)
        self._expect(BASE, "generate_voice_clone")
        texts = as_list(text)
        (languages,) = beside(texts, language=or_auto(language))
        check_names("languages", languages, self.synthesizer.languages)
        if voice_clone_prompt is not None:
            heard = items(voice_clone_prompt)
        elif ref_audio is not None:
            heard = self.create_voice_clone_prompt(ref_audio, ref_text, x_vector_only_mode)
        else:
            raise InputError("give either voice_clone_prompt or ref_audio")
        (heard,) = beside(texts, prompt=heard)
        voices = [clone(item) for item in heard]
        none = [None] * len(texts)
        return self._speak(texts, voices, languages, none, non_streaming_mode, given)

    def create_voice_clone_prompt(
        self,
        ref_audio: AudioLike | list[AudioLike],
        ref_text: str | list[str | None] | None = None,
        x_vector_only_mode: bool | list[bool] = False,
    ) -> list[VoiceClonePromptItem]:
        """Hear recordings, to speak with their voices again and again.

        Args:
            ref_audio: One or a list: a path, a URL (see `fetch_urls`), base64, the bytes of a
                sound file, or (samples, sample rate).
            ref_text: What each says; one text goes for all. Needed for in-context clones.
            x_vector_only_mode: Only the speaker vector is used, not the recording itself.

        Returns:
            An item a recording.

        Raises:
            InputError: Lists of other lengths, no text where one is needed, or no material.
            ArgumentError: Audio of an unknown type.
            OSError: A file cannot be opened.
        """
        self._expect(BASE, "create_voice_clone_prompt")
        sounds = as_list(ref_audio)
        texts = ref_text if isinstance(ref_text, list) else [ref_text] * len(sounds)
        only = x_vector_only_mode
        only = only if isinstance(only, list) else [only] * len(sounds)
        if not len(sounds) == len(texts) == len(only):
            raise InputError(
                f"Batch size mismatch: ref_audio={len(sounds)}, ref_text={len(texts)}, "
                f"x_vector_only_mode={len(only)}"
            )
        check_strings("ref_text", texts)
        only = [one is not None and truth("x_vector_only_mode", one) for one in only]
        for i, (text, vector_only) in enumerate(zip(texts, only, strict=True)):
            if not (text or vector_only):
                raise InputError(
                    f"ref_text is required when x_vector_only_mode=False (ICL mode). Bad index={i}"
                )
        return [
            self._heard(sound, text, vector_only=vector_only)
            for sound, text, vector_only in zip(sounds, texts, only, strict=True)
        ]

    def _heard(
        self, sound: AudioLike, text: str | None, *, vector_only: bool
    ) -> VoiceClonePromptItem:
        source = local(sound, fetch_urls=self._fetch_urls)
        found = self.synthesizer.listener.clone(
            read_reference(source, keep_silence=True).samples,
            None if vector_only else text,
        )
        return VoiceClonePromptItem(
            None if found.codes is None else tensor(found.codes),
            tensor(found.speaker_vector),
            vector_only,
            not vector_only,
            text,
        )

    def _speak(
        self,
        texts: list[str],
        voices: Sequence[Voice | None],
        languages: Sequence[str],
        instructs: Sequence[str | None],
        upfront: bool | None,
        given: Options,
    ) -> Wavs:
        upfront = upfront is not None and truth("non_streaming_mode", upfront)
        sampling = options.sampling(given)
        requests = [
            Request(
                text,
                voice,
                language=language,
                instruct=instruct,
                text_layout=UPFRONT if upfront else STREAMED,
                sampling=sampling,
                seed=options.seed(given, row),
                max_seconds=self._most_seconds(given.get("max_new_tokens")),
                verbatim=True,
            )
            for row, (text, voice, language, instruct) in enumerate(
                zip(texts, voices, languages, instructs, strict=True)
            )
        ]
        spoken = self.synthesizer.speak_batch(requests)
        for number, audio in enumerate(spoken, start=1):
            _warn_if_incomplete(f"text {number} of {len(spoken)}", audio)
        return [audio.samples for audio in spoken], self.synthesizer.manifest.sample_rate

    def _most_seconds(self, tokens: int | None) -> float | None:
        """Give how long so many tokens last, the last of which ends speech."""
        if tokens is None:
            return None
        # Half a frame off, so that rounding up cannot add one.
        return (tokens - 1.5) / self.synthesizer.manifest.frames_per_second

    def _expect(self, kind: ModelType, method: str) -> None:
        found = self.synthesizer.manifest.checkpoint
        if found.model_type != kind:
            kept = kept_type(self.synthesizer.manifest) if kind == CUSTOM_VOICE else None
            raise InputError(
                f"{found.name} is of the type {found.model_type} and does not support {method}",
                kept or f"open a checkpoint of the type {kind}",
            )


_INCOMPLETE = {
    "memory": "was cut where memory is full; from_pretrained(max_seconds=...) decides how much "
    "there is, or say it in shorter texts",
    "checkpoint": "was cut at the checkpoint's own max_new_tokens; say it in shorter texts",
    "patience": "did not end and was cut; another seed is the cure",
    "too short": "ended before its text can have been spoken; another seed is the cure",
}
"""What may be missing of speech that nobody asked to cut: the official names have no way to say."""


def _warn_if_incomplete(what: str, audio: Audio) -> None:
    metrics = audio.metrics
    for kind in (metrics.cut, "too short" if metrics.too_short else None):
        if kind in _INCOMPLETE:
            _log.warning("%s: the speech of %.1f s %s", what, metrics.audio, _INCOMPLETE[kind])
