"""The official package's names: a program for `qwen_tts` runs with only its import changed.

from qwen3_tts_edge.compat import Qwen3TTSModel
model = Qwen3TTSModel.from_pretrained("Qwen/Qwen3-TTS-12Hz-1.7B-CustomVoice")
wavs, rate = model.generate_custom_voice(text="Hello.", speaker="Ryan", language="English")

Calls, defaults, broadcasting and errors are the official ones; codes and speaker vectors are
tensors where the program has loaded PyTorch, else numpy's arrays. What differs:

- Loading takes what `compat.loading.Loading` lists. `device_map="cuda:0"` needs a bundle for the
  GPU or exports one; where the GPU cannot be used it is an error that says what is missing.
- Keyword arguments that are not known are an error, not dropped in silence; `seed` does something,
  and `eos_token_id` may only be the checkpoint's own.
- Speech that fills the memory that was reserved (`from_pretrained(max_seconds=...)`, 160 s) is cut
  there, with a warning; `max_new_tokens` may be more.
- A recording of less than 1 s, of more than 60 s, a silent one, and samples far beyond full scale
  are refused; base64 may have slashes, and the content of a voice that the demo saved is a prompt.
- Of the attributes of `.model` there are those that the official demo asks for; there is no
  `.device`, for there are no tensors.
- Text and instructions: blanks at their ends are dropped, as the official demo does; an empty text
  and a text that spells a control token are errors. An instruction to a checkpoint that takes none
  is dropped, as there, and a warning says so.
- Text has the ids that a hub id gives it. There, a local folder of the same files has words like
  "macOS" cut elsewhere (transformers 4.57.3).
- CustomVoice needs a speaker where it names any; there, None lets the model choose.
- Speech that has run away, as one in two hundred does, is cut and begun anew with other draws, and
  so is speech that ended before its text can have been spoken, but not where `max_new_tokens` says
  how long it may be.
- Audio of a URL is fetched only where `fetch_urls=True` was asked for.
- Sound is decoded whole. There, what follows the first 24 seconds is decoded in pieces that do not
  fit exactly, and a clone may begin one sample early.
"""

from qwen3_tts_edge.compat.clone_prompt import VoiceClonePromptItem
from qwen3_tts_edge.compat.model import Qwen3TTSModel
from qwen3_tts_edge.compat.options import ArgumentError
from qwen3_tts_edge.compat.speech_tokenizer import Encoded, Qwen3TTSTokenizer

__all__ = [
    "ArgumentError",
    "Encoded",
    "Qwen3TTSModel",
    "Qwen3TTSTokenizer",
    "VoiceClonePromptItem",
]
