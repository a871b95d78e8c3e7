"""Sound to codes and back: `tokenizer.py MODEL FOLDER RECORDING`."""

import sys
from pathlib import Path

import numpy as np
import soundfile
from qwen_tts import Qwen3TTSTokenizer

model_path, folder, recording = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
tokenizer = Qwen3TTSTokenizer.from_pretrained(model_path, device_map="cpu")
assert tokenizer.get_model_type() == "qwen3_tts_tokenizer_12hz"
assert tokenizer.get_input_sample_rate() == tokenizer.get_output_sample_rate() == 24000
assert tokenizer.get_encode_downsample_rate() == tokenizer.get_decode_upsample_rate() == 1920

encoded = tokenizer.encode(recording)
wavs, rate = tokenizer.decode(encoded)
soundfile.write(folder / "path.wav", wavs[0], rate, subtype="FLOAT")

samples, sample_rate = soundfile.read(recording, dtype="float32")
encoded = tokenizer.encode([samples, samples[::-1].copy()], sr=sample_rate)
for number, codes in enumerate(encoded.audio_codes):
    wavs, rate = tokenizer.decode({"audio_codes": [np.asarray(codes)]})
    soundfile.write(folder / f"samples-{number}.wav", wavs[0], rate, subtype="FLOAT")

wavs, rate = tokenizer.decode([{"audio_codes": np.asarray(encoded.audio_codes[0])[:5]}])
soundfile.write(folder / "codes.wav", wavs[0], rate, subtype="FLOAT")
