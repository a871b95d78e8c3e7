"""The checkpoint's text tokenizer as one `tokenizer.json`, the file that goes into a bundle.

In: `vocab.json`, `merges.txt` and `tokenizer_config.json` of an official checkpoint, or what
another program has saved of them, see `tokenizer_files`. Out: a `tokenizers.Tokenizer` that gives
the ids of transformers' `Qwen2TokenizerFast`.

The split pattern is Qwen's, always. The official loader may swap Mistral's in when it reads a local
folder (`fix_mistral_regex=True`, transformers 4.57.3), which cuts "iPhone" in two.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    normalizers,
    pre_tokenizers,
    processors,
)
from tokenizers.models import BPE

from qwen3_tts_edge.errors import CheckpointError, quoted, shortened
from qwen3_tts_export.checkpoint.identity import cure
from qwen3_tts_export.checkpoint.tokenizer_files import TAKE, read_tokenizer_files

SPLIT_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Qwen's pre-tokenizer: contractions, words, single digits, punctuation runs, line ends, blanks."""

_NAMED_SPECIALS = (
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
)
_SPECIAL_LISTS = ("additional_special_tokens", "extra_special_tokens")
_SPECIAL_BY_DEFAULT = dict.fromkeys(("eos_token", "unk_token", "pad_token"), "<|endoftext|>")


def read_text_tokenizer(folder: Path) -> Tokenizer:
    """Build the tokenizer of the checkpoint in `folder`.

    Args:
        folder: A checkpoint folder.

    Returns:
        The tokenizer; `.save(path)` writes the bundle's `tokenizer.json`.

    Raises:
        CheckpointError: A file is missing, is not what it should be, or they disagree.

    Source: `Qwen3TTSModel.from_pretrained`, qwen_tts/inference/qwen3_tts_model.py, which loads the
        same files through `Qwen2Converter`, transformers/convert_slow_tokenizer.py.
    """
    vocab, merges, config = read_tokenizer_files(folder)
    try:
        return build_tokenizer(vocab, merges, config)
    except CheckpointError as error:
        raise CheckpointError(
            f"{folder}: {error.found}", cure(folder / "vocab.json", TAKE)
        ) from error


def build_tokenizer(
    vocab: Mapping[str, int], merges: Sequence[tuple[str, str]], tokenizer_config: Mapping[str, Any]
) -> Tokenizer:
    """Build the tokenizer: NFC, Qwen's split, byte-level BPE, and the added tokens as flagged.

    Args:
        vocab: Byte-level symbol → id, the ids being 0 … n-1.
        merges: (left, right) pairs, best first.
        tokenizer_config: The parsed `tokenizer_config.json`; read are `added_tokens_decoder` and
            the `*_token` and `*_special_tokens` names.

    Returns:
        The tokenizer. It adds no token by itself, pads nothing and truncates nothing.

    Raises:
        CheckpointError: A byte symbol is missing (its byte would be dropped silently), ids have
            holes, a merge names an unknown symbol, no merge makes a known one, an added token would
            not get the id the config gives it, or the config asks for a behaviour no Qwen3-TTS
            checkpoint has.

    Source: `Qwen2Converter.converted`, transformers/convert_slow_tokenizer.py, and
        `PreTrainedTokenizerFast.__init__`, transformers/tokenization_utils_fast.py.
    """
    added = list(_added_tokens(tokenizer_config))
    _check_vocab(vocab)
    _check_merges(vocab, merges, {token.content for _, token in added})
    for flag in ("add_prefix_space", "split_special_tokens"):
        if tokenizer_config.get(flag):
            raise CheckpointError(
                f"tokenizer_config.json says {flag}: true, which no Qwen3-TTS checkpoint does"
            )

    tokenizer = Tokenizer(
        BPE(
            vocab=dict(vocab),
            merges=list(merges),
            continuing_subword_prefix="",
            end_of_word_suffix="",
            fuse_unk=False,
            byte_fallback=False,
        )
    )
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT_PATTERN), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)

    for index, token in added:
        tokenizer.add_tokens([token])
        given = tokenizer.token_to_id(token.content)
        if index is not None and given != index:
            raise CheckpointError(
                f"tokenizer_config.json gives {quoted(token.content)} the id {index}, but its "
                f"place is {given}: vocab.json and tokenizer_config.json are not of one checkpoint"
            )
    return tokenizer


def _added_tokens(config: Mapping[str, Any]) -> Iterable[tuple[int | None, AddedToken]]:
    """List the added tokens in id order, then the named specials not among them (without id)."""
    try:
        declared = config.get("added_tokens_decoder")
        declared = {} if declared is None else declared
        decoder = sorted((int(key), dict(flags)) for key, flags in declared.items())
        listed = {flags["content"] for _, flags in decoder}
        specials = [config.get(name, _SPECIAL_BY_DEFAULT.get(name)) for name in _NAMED_SPECIALS]
        for name in _SPECIAL_LISTS:
            specials += _listed(config.get(name), name)
        names = [
            each["content"] if isinstance(each, Mapping) else each
            for each in specials
            if each is not None
        ]
        for index, flags in decoder:
            special = bool(flags.get("special")) or flags["content"] in names
            kept = {
                name: flags[name]
                for name in ("single_word", "lstrip", "rstrip", "normalized")
                if name in flags
            }
            yield index, AddedToken(flags["content"], special=special, **kept)
        for name in dict.fromkeys(names):
            if name not in listed:
                yield None, AddedToken(name, special=True, normalized=False)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"tokenizer_config.json: added tokens are not readable ({quoted(error)})"
        ) from error


def _listed(given: Any, name: str) -> list[Any]:
    """List tokens that stand in a list, or in an object that calls each by its part."""
    if given is None:
        return []
    if isinstance(given, Mapping):
        return list(given.values())
    if isinstance(given, list):
        return given
    raise TypeError(f"{name} is {given!r}, expected a list or an object of tokens")


def _check_vocab(vocab: Mapping[str, int]) -> None:
    if any(isinstance(index, bool) or not isinstance(index, int) for index in vocab.values()):
        raise CheckpointError("vocab.json has ids that are not integers")
    if set(vocab.values()) != set(range(len(vocab))):
        raise CheckpointError(
            f"vocab.json: the ids of its {len(vocab)} symbols are not 0 … {len(vocab) - 1}"
        )
    missing = sorted(set(pre_tokenizers.ByteLevel.alphabet()) - set(vocab))
    if missing:
        raise CheckpointError(
            f"vocab.json lacks {len(missing)} of the 256 byte symbols, such as {quoted(missing[0])}"
        )


def _check_merges(
    vocab: Mapping[str, int], merges: Sequence[tuple[str, str]], added: Collection[str]
) -> None:
    """Refuse merges that are not those of the vocabulary, as where a copy broke off."""
    for rank, (left, right) in enumerate(merges):
        unknown = [symbol for symbol in (left, right, left + right) if symbol not in vocab]
        if unknown:
            raise CheckpointError(
                f"merge {rank} ({shortened(left)} {shortened(right)}) needs {quoted(unknown[0])}, "
                "which vocab.json lacks"
            )
    made = {left + right for left, right in merges}
    lost = vocab.keys() - pre_tokenizers.ByteLevel.alphabet() - made - set(added)
    if lost:
        raise CheckpointError(
            f"{len(lost)} symbols of vocab.json, such as {quoted(min(lost))}, are made by none of "
            f"the {len(merges)} merges: merges.txt is not whole, or of another checkpoint"
        )
