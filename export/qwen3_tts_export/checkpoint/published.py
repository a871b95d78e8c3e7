"""The small files of a released checkpoint, written from its spec as they were published."""

import json
import re
from textwrap import indent

from qwen3_tts_export.checkpoint.spec import CODEC_FOLDER, Spec, load_spec


def published_texts(spec: Spec) -> dict[str, str]:
    """Write the JSON files of a checkpoint, speech_tokenizer/ included, or of the codec alone.

    Returns:
        Path in the checkpoint's folder to content. Encoded in UTF-8, each has the size and the
        sha256 that the spec says.
    """
    texts = {name: _text(spec, name) for name in spec.contents}
    if spec.codec is not None:
        codec = published_texts(load_spec(spec.codec))
        texts |= {f"{CODEC_FOLDER}/{name}": text for name, text in codec.items()}
    return texts


def _text(spec: Spec, name: str) -> str:
    by_hand = spec.by_hand
    if name in by_hand.on_one_line:
        return json.dumps(spec.contents[name])
    text = json.dumps(spec.contents[name], indent=2)
    for key in by_hand.over_two_lines:
        text = re.sub(rf'^( *)("{key}": ){{}}', r"\1\2{\n\1}", text, flags=re.MULTILINE)
    for key in by_hand.deeper:
        inside = re.compile(rf'(?<="{key}": {{\n)[^}}]*(?=\n *}})')
        text = inside.sub(lambda found: indent(found[0], "  "), text)
    return text if name in by_hand.without_line_feed else text + "\n"
