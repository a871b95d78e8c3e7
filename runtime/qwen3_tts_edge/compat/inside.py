"""What programs ask of the model that the official wrapper holds, as its demo does."""

from dataclasses import dataclass

TOKENIZER_TYPE = "qwen3_tts_tokenizer_12hz"


@dataclass(frozen=True)
class Inside:
    """What can be asked of `Qwen3TTSModel.model`.

    Attributes:
        tts_model_type: `base`, `custom_voice` or `voice_design`.
        tts_model_size: `0b6` or `1b7`.
        tokenizer_type: The one that there is.

    Source: Qwen3TTSForConditionalGeneration in qwen_tts/core/models/modeling_qwen3_tts.py.
    """

    tts_model_type: str
    tts_model_size: str
    languages: tuple[str, ...]
    speakers: tuple[str, ...]
    tokenizer_type: str = TOKENIZER_TYPE

    def get_supported_languages(self) -> list[str]:
        """What `language` may be, in lower case, sorted."""
        return list(self.languages)

    def get_supported_speakers(self) -> list[str]:
        """The named speakers in lower case, sorted; empty where there are none."""
        return list(self.speakers)
