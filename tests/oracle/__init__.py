"""The official package as the judge: the only place that touches `qwen-tts` and `transformers`.

fp32, CPU, eager attention in the talker and the code predictor (the codec runs as the official
package loads it). Nothing global changes but the import of a stub for the 25 Hz tokenizer, which
needs torchaudio and is never used, how transformers makes its masks, which are the same, and the
official registration in transformers' Auto classes.
"""

from oracle.cases import BASE_CASES, CASES, Case, Reference, reference_values
from oracle.official import Official, Prompt, load_official, load_processor
from oracle.sampling import official_probabilities, official_processors, official_scores

__all__ = [
    "BASE_CASES",
    "CASES",
    "Case",
    "Official",
    "Prompt",
    "Reference",
    "load_official",
    "load_processor",
    "official_probabilities",
    "official_processors",
    "official_scores",
    "reference_values",
]
