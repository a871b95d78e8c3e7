"""A table of lines, a few at a time; what is wrong is left out: `batch_job.py MODEL FOLDER`."""

import csv
import io
import sys
from pathlib import Path

import soundfile
from qwen_tts import Qwen3TTSModel

TABLE = """name,speaker,language,instruct,text
door,Ryan,English,,The door was open.
cat,vivian,Auto,Slowly.,"A cat, I think."
bird,nobody,English,,This bird has no voice.
rain,Uncle_Fu,Chinese,,下雨了。
late,ryan,english,Angry.,You are late again!
fish,vivian,Klingon,,This fish has no language.
"""
AT_ONCE = 3

model_path, folder = sys.argv[1], Path(sys.argv[2])
model = Qwen3TTSModel.from_pretrained(
    pretrained_model_name_or_path=model_path,
    device_map={"": "cpu"},
    dtype="float32",
    low_cpu_mem_usage=True,
)
settings = {"do_sample": False, "subtalker_dosample": False, "max_new_tokens": 9}


def speak(rows: list[dict[str, str]]) -> None:
    columns = {name: [row[name] for row in rows] for name in rows[0] if name != "name"}
    wavs, rate = model.generate_custom_voice(**columns, **settings)
    for row, wav in zip(rows, wavs, strict=True):
        soundfile.write(folder / f"{row['name']}.wav", wav, rate, subtype="FLOAT")


todo = list(csv.DictReader(io.StringIO(TABLE)))
failed = []
for first in range(0, len(todo), AT_ONCE):
    rows = todo[first : first + AT_ONCE]
    try:
        speak(rows)
    except ValueError:
        for row in rows:
            try:
                speak([row])
            except ValueError as error:  # noqa: PERF203 - each row has its own
                failed.append((row["name"], str(error)[:12]))
assert failed == [("bird", "Unsupported "), ("fish", "Unsupported ")]
