# Each target does its own set-up, from python3 and PyPI alone.
PYTHON ?= python3
TEXT   ?= Good morning. Your timer is set for twenty minutes.

BIN   := .venv/bin
VOICE := models/edge-voice/int8
# A stamp says which extras are installed; installing again is cheap but not free.
RUN   := $(BIN)/.run
EXPORT := $(BIN)/.export
DEV   := $(BIN)/.dev

.PHONY: speak test check parity-slow bench clean

speak: $(RUN) $(VOICE)/manifest.json  ## say TEXT="…" into speech.wav
	$(BIN)/qwen3-tts-edge speak "$(TEXT)" -o speech.wav

test: check  ## everything that CI runs
	$(BIN)/pytest -m "not slow" -n auto --dist worksteal

check: $(DEV)
	$(BIN)/ruff format --check runtime export tests
	$(BIN)/ruff check runtime export tests
	$(BIN)/mypy

slow: $(DEV)  ## the tests that need minutes and gigabytes
	$(BIN)/pytest -m slow

bench: $(DEV)  ## a full-size random 0.6B beside the official package
	test -d build/0.6b || $(BIN)/qwen3-tts-export random 0.6b-customvoice -o build/0.6b
	test -d build/0.6b-int8 || $(BIN)/qwen3-tts-export bundle build/0.6b --precision int8 -o build/0.6b-int8
	$(BIN)/qwen3-tts-edge bench build/0.6b-int8
	PYTHONPATH=tests $(BIN)/python tests/against_official.py build/0.6b-int8 build/0.6b

$(VOICE)/manifest.json: $(EXPORT)
	rm -rf $(VOICE)
	$(BIN)/qwen3-tts-export bundle models/edge-voice --precision int8 -o $(VOICE)

$(BIN)/python:
	$(PYTHON) -m venv .venv

$(RUN): pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet -e '.[cpu]'
	touch $@

$(EXPORT): $(RUN)
	$(BIN)/pip install --quiet -e '.[cpu,export]'
	touch $@

# The official package is the oracle of the tests. Its own dependencies bring a second PyTorch and
# a web interface, so what it needs here stands in the extra `oracle`.
$(DEV): $(EXPORT)
	$(BIN)/pip install --quiet -e '.[cpu,export,rtx,dev,oracle]'
	$(BIN)/pip install --quiet --no-deps qwen-tts==0.1.1 dashscope==2.0.2
	touch $@

clean:
	rm -rf .venv build $(VOICE) speech.wav
