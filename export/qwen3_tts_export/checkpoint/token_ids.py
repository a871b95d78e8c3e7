"""Hold the text tokenizer to what config.json says of it.

A tokenizer that was saved again or borrowed gives other ids, in silence: the talker would read
other rows of its table, or none.
"""

from pathlib import Path

from tokenizers import Tokenizer

from qwen3_tts_edge.errors import CheckpointError
from qwen3_tts_export.checkpoint.config import CheckpointConfig
from qwen3_tts_export.checkpoint.config_files import TOKENS
from qwen3_tts_export.checkpoint.identity import cure
from qwen3_tts_export.checkpoint.tokenizer_files import TAKE

_ROLE = "<|im_start|>assistant\n"
_CONTROL = ("<|im_start|>", "<|im_end|>")


def check_token_ids(tokenizer: Tokenizer, config: CheckpointConfig, folder: Path) -> None:
    """Hold the tokenizer to the ids that config.json gives tokens, and to the size of its table.

    Raises:
        CheckpointError: A token is missing or has another id, or there are more than rows.
    """
    advice = cure(folder / "tokenizer_config.json", TAKE)
    for key, token in TOKENS.items():
        stated = config.token_ids.get(key)
        found = tokenizer.encode(token, add_special_tokens=False).ids
        if found != [stated] and stated is not None:
            raise CheckpointError(
                f"{folder}: the text tokenizer makes {found} of {token}, config.json's {key} says"
                f" {stated}",
                advice,
            )
    control = {
        token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special
    }
    for token in _CONTROL:
        if token not in control:
            raise CheckpointError(
                f"{folder}: the text tokenizer has no control token {token}", advice
            )
    role = tokenizer.encode(_ROLE, add_special_tokens=False).ids
    if len(role) != 3:
        raise CheckpointError(
            f"{folder}: the text tokenizer makes {len(role)} ids of {_ROLE!r}, not 3", advice
        )
    if tokenizer.get_vocab_size() > config.talker.text_vocab_size:
        raise CheckpointError(
            f"{folder}: the text tokenizer has {tokenizer.get_vocab_size()} ids, config.json's"
            f" text_vocab_size is {config.talker.text_vocab_size}",
            advice,
        )
