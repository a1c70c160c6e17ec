# The front door. Each target does everything it needs: it installs what is missing (Debian), configures, builds, runs.
#   make            build/strata
#   make demo       the main job in two minutes with the small model that ships
#   make test       build and run the whole suite
# `make help` lists the rest. The build itself is CMake's: see CMakeLists.txt.

BUILD    ?= build
JOBS     ?= $(shell nproc 2>/dev/null || echo 2)
# Kernels and threads are tested with more than one program at a time; a stuck test fails instead of hanging.
CTEST    ?= ctest --output-on-failure --timeout 600 -j $(JOBS)
WERROR   ?= OFF
FUZZ_SECONDS ?= 600

.PHONY: all help setup build install demo demo-images study study-page data test asan tsan early-stopping mutate fuzz soak lint format docs docs-check newcomer report-shots clean \
        conformance conformance-training conformance-easyvqa conformance-rewards conformance-benchmarks \
        python-test python-wheel bench-peers

all: build

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## setup                        install the Debian packages that are missing (says which)
setup:
	@scripts/setup.sh build

## build (the default)          build/strata
build: setup
	@scripts/build.sh $(BUILD) -DSTRATA_WERROR=$(WERROR) -- strata

## install [PREFIX=/usr/local] [DESTDIR=]  program, library, headers, man pages, completion
PREFIX ?= /usr/local
install: setup
	@scripts/build.sh $(BUILD) -DSTRATA_WERROR=$(WERROR) -- strata strata_archive strata_shared strata_pages
	@DESTDIR="$(DESTDIR)" cmake --install $(BUILD) --prefix $(PREFIX) >/dev/null
	@echo "installed in $(DESTDIR)$(PREFIX)"

## newcomer                     README's first commands in a fresh Debian 12 (chroot; root, debootstrap, network)
newcomer:
	@scripts/newcomer.sh; status=$$?; [ $$status -eq 77 ] || exit $$status

## data                         fetch EasyVQA (PyPI, MIT) into data/easyvqa
data:
	@scripts/setup.sh data
	@scripts/easyvqa.sh

## demo                         the comparison in two minutes with models/strata-tiny, offline; real images without it
demo: build
	@if [ -e models/strata-tiny/model.safetensors ]; then scripts/demo.sh $(BUILD)/strata; \
	else $(MAKE) --no-print-directory demo-images; fi

## demo-images                  score EasyVQA images with models/easyvqa-tiny, select a stratum, look at one answer
demo-images: build data
	@scripts/demo_images.sh $(BUILD)/strata

## study [STUDY_JOBS=2]         recipes/tiny.yaml: all twelve rows, both measures and families, three seeds, report
STUDY_JOBS ?= 2
study: build
	@scripts/study.sh $(BUILD)/strata $(STUDY_JOBS)

## study-page                   the study's tables into docs/study-tables.md
study-page: study
	@{ echo "# Tables of recipes/tiny.yaml"; echo; \
	   echo "Made by \`make study-page\`; [study.md](study.md) says how to read them and what they say."; echo; \
	   cat .cache/study/run/tables.md; } >docs/study-tables.md

## test                         build everything and run the suite
test: setup
	@scripts/build.sh $(BUILD) -DSTRATA_WERROR=$(WERROR)
	cd $(BUILD) && $(CTEST)

## asan                         the suite under AddressSanitizer and UndefinedBehaviorSanitizer
# Allocations that are too large must fail as they do without the sanitizer: tests ask for them on purpose.
asan: setup
	@scripts/build.sh build-asan -DSTRATA_SANITIZE=address,undefined -DSTRATA_WERROR=$(WERROR)
	cd build-asan && ASAN_OPTIONS=allocator_may_return_null=1 \
	    LSAN_OPTIONS=suppressions=$(CURDIR)/tests/lsan.txt:print_suppressions=0 $(CTEST)

## tsan                         the suite under ThreadSanitizer
tsan: setup
	@scripts/build.sh build-tsan -DSTRATA_SANITIZE=thread -DSTRATA_WERROR=$(WERROR)
	cd build-tsan && TSAN_OPTIONS=halt_on_error=1:allocator_may_return_null=1 $(CTEST)

## early-stopping [RECORDS=200] strata with and without --full-curve are equal on that many EasyVQA records
RECORDS ?= 200
early-stopping: build data
	@scripts/early_stopping.sh $(BUILD)/strata $(RECORDS)

## bench-peers [GROUPS="prefill decode …"]  beside transformers and llama.cpp, as ratios (perf/bench_peers.sh says how to point
##                              at them; what is absent is left out with the reason)
bench-peers: build
	@perf/bench_peers.sh $(BUILD)/strata $(GROUPS)

## mutate [MODELS=DIR]          does each test catch the breakage that it is there for (tests/mutations.txt)?
mutate: setup
	@scripts/mutate.sh $(MODELS)

## soak [MINUTES=30]            runs killed again and again, servers that stall, lie and die: rounds until the time is over
MINUTES ?= 30
soak: setup data
	@scripts/build.sh $(BUILD) -DSTRATA_WERROR=$(WERROR)
	@scripts/soak.sh $(BUILD) data/easyvqa/test.jsonl $(MINUTES)

## fuzz [FUZZ_SECONDS=600]      every fuzz target for that long, under ASan and UBSan
fuzz:
	@scripts/setup.sh fuzz
	@scripts/fuzz.sh $(FUZZ_SECONDS)

## lint                         clang-format (check only), clang-tidy, cppcheck, shellcheck
lint:
	@scripts/setup.sh lint
	@scripts/lint.sh

## format                       clang-format every source in place
format:
	@scripts/setup.sh lint
	@git ls-files '*.c' '*.h' | xargs clang-format -i

## docs                         docs/commands from the option table
docs: build
	@$(BUILD)/strata help --markdown docs/commands

## docs-check [PAGES=FILES]      run every command block of README.md and docs, in temporary directories with small data
docs-check: build data
	@python3 scripts/docs_check.py $(BUILD)/strata $(PAGES)

## strata-tiny [THREADS=1]      train models/strata-tiny anew (about an hour of one core), into .cache/strata-tiny/model
strata-tiny: build
	@THREADS="$(THREADS)" scripts/strata_tiny.sh $(BUILD)/strata

## synth-sheet                  the picture in docs/synth.md
synth-sheet: build
	@$(BUILD)/strata synth --out .cache/synth-sheet --counts 0,0,0 --size 112 --sheet docs/images/synth.png

## report-shots                 the pictures in docs/report.md and docs/study.md, from demo-images and study (needs Chromium)
report-shots: demo-images
	@scripts/report_shots.sh $(BUILD)/strata .cache/demo-images/run .cache/study/run

## conformance MODELS=DIR       against reference results of transformers [ISA=level] [COMPUTE=f32|bf16]
conformance: setup
	@test -n "$(MODELS)" || { echo "usage: make conformance MODELS=DIR [ISA=level] [COMPUTE=f32|bf16]" >&2; exit 2; }
	@scripts/build.sh $(BUILD)
	@BUILD=$(BUILD) ISA=$(ISA) COMPUTE=$(COMPUTE) scripts/conformance.sh models $(MODELS)

## conformance-training MODELS=DIR  losses, gradients and optimiser steps against torch [ISA=level]
conformance-training: setup
	@test -n "$(MODELS)" || { echo "usage: make conformance-training MODELS=DIR [ISA=level]" >&2; exit 2; }
	@scripts/build.sh $(BUILD)
	@BUILD=$(BUILD) ISA=$(ISA) scripts/conformance.sh training $(MODELS)

## conformance-easyvqa          [GOLDEN=DIR] [DATA=DIR] [MODEL=DIR]: texts, balance and PISM curve of models/easyvqa-tiny;
##                              [COMPUTE=bf16] [WEIGHTS=int8]: prints what they cost, within what is pinned
GOLDEN ?= ../shared/golden/easyvqa-tiny
DATA   ?= ../shared/data/easyvqa
MODEL  ?= models/easyvqa-tiny
conformance-easyvqa: setup
	@scripts/build.sh $(BUILD)
	@BUILD=$(BUILD) ISA=$(ISA) COMPUTE=$(COMPUTE) WEIGHTS=$(WEIGHTS) scripts/conformance.sh easyvqa $(MODEL) $(GOLDEN) $(DATA)

## conformance-rewards FILE=F   graders and rewards against reference scores
conformance-rewards: setup
	@test -n "$(FILE)" || { echo "usage: make conformance-rewards FILE=rewards.jsonl" >&2; exit 2; }
	@scripts/build.sh $(BUILD)
	@BUILD=$(BUILD) scripts/conformance.sh rewards $(FILE)

## conformance-benchmarks FILE=F  the six benchmarks against VLMEvalKit's own scores [KIT=DIR of its sources]
conformance-benchmarks: setup
	@test -n "$(FILE)" || { echo "usage: make conformance-benchmarks FILE=benchmarks.jsonl" >&2; exit 2; }
	@scripts/build.sh $(BUILD)
	@BUILD=$(BUILD) scripts/conformance.sh benchmarks $(FILE) $(if $(KIT),--kit-sources $(KIT))

## python-test [STRATA_PYTHON=python3]  the Python packages' tests, from the source tree
STRATA_PYTHON ?= python3
python-test python-wheel: export STRATA_PYTHON := $(STRATA_PYTHON)
python-test: setup
	@scripts/build.sh $(BUILD) -- strata strata_shared
	@tests/cli/python.sh $(BUILD)/strata

## python-wheel [STRATA_PYTHON=python3] build the wheel into build/, install it into a fresh environment, test it there
python-wheel: build
	@WHEEL=1 KEEP=$(BUILD) tests/cli/wheel.sh $(BUILD)/strata

## clean                        remove the build trees (fetched data stays)
clean:
	rm -rf build build-*
