# The work is done by Meson and by scripts/; this file gives it short names.
# Folders: build/ release, build-test/ sanitizers, build-tsan/ threads, build-fuzz/ fuzzers.

.DEFAULT_GOAL := help
.PHONY: help setup build run test check bench quality fuzz torture format clean install

help: ## list what can be asked for
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install whatever Debian and npm packages are missing, for all of the below
	@scripts/setup.sh run test check bench

build: ## the release build, in build/
	@scripts/setup.sh run
	@scripts/build.sh release

run: ## build, make a demo organization, start, say where to click
	@scripts/run.sh

test: ## unit, system, browser, crash, fuzz and sanitizer runs (about 14 minutes on 2 cores, 40 at most)
	@scripts/test.sh

check: ## formatting, clang-tidy, cppcheck, the project's own lint
	@scripts/check.sh

bench: ## measure, beside yardsticks; writes build/bench/results.json
	@scripts/bench.sh

quality: ## retrieval and answers against labelled sets, where the data is present
	@scripts/quality.sh

fuzz: ## each fuzzer for ten minutes (scripts/fuzz.sh SECONDS for another time)
	@scripts/fuzz.sh 600

torture: ## the crash test with 1,000 kills
	@scripts/torture.sh

format: ## clang-format over all C files
	@scripts/format.sh

clean: ## remove all build folders; data/ stays
	@rm -rf build build-test build-tsan build-fuzz build-check

install: build ## parley, its helpers, the demo and the systemd unit into /usr/local (or DESTDIR)
	@meson install -C build --no-rebuild
