# The steps of `make test`, and which steps each of them needs. scripts/test runs them, several at once; scripts/step
# runs one.
#
# Three chains run beside each other: cargo's, the tests of Erlang, and Erlang's checks. Some of them need the library.
# Steps of a chain follow each other where they share a directory: only one rebar3 at a time runs for each profile below
# _build, since two would write the same files.

# DIRECTORY is where scripts/test collects the counts of the steps.
step = @scripts/step $(DIRECTORY)
# Cargo's chain gets what the others leave of the processors: the tests of Erlang wait most of the time, so they start early.
later = @nice scripts/step $(DIRECTORY)

STEPS = shell-scripts cargo-fmt layers downloads library cargo-clippy cargo-test loom instructions strict-compile benchmarks eunit \
    common-test xref dialyzer docs example openapi release prebuilt

.PHONY: all names $(STEPS)
all: $(STEPS)
names:
	@echo $(STEPS)

shell-scripts:
	$(step) $@ check scripts/test-scripts
cargo-fmt:
	$(step) $@ check cargo fmt --all --check

layers:
	$(step) $@ check scripts/layers

# Before the tests that need them, since a download counts against the time limit of a test.
downloads:
	$(step) $@ check scripts/test-downloads

# rebar3 would build the library, too; a step of its own shows its time.
library:
	$(step) $@ check native/build

cargo-clippy:
	$(later) $@ check cargo clippy --workspace --all-targets --locked -- -D warnings
cargo-test: cargo-clippy
	$(later) $@ cargo cargo test --workspace --locked --no-fail-fast
loom: cargo-clippy
	$(later) $@ cargo scripts/test-loom
instructions: library loom
	$(later) $@ check scripts/test-instructions

# In a directory of its own, since modules that are already built are not compiled again and so do not warn.
strict-compile: library
	$(step) $@ check env REBAR_BASE_DIR=$(DIRECTORY)/build rebar3 compile
benchmarks:
	$(step) $@ check bench/build $(DIRECTORY)
eunit: strict-compile
	$(step) $@ eunit rebar3 eunit
common-test: eunit downloads
	$(step) $@ ct scripts/test-suites

xref: strict-compile
	$(step) $@ check rebar3 xref
dialyzer: xref
	$(step) $@ check rebar3 dialyzer
docs: dialyzer cargo-clippy
	$(later) $@ check scripts/docs
example: dialyzer
	$(step) $@ ct $(MAKE) -C examples/filebox test
openapi: example downloads
	$(step) $@ check scripts/test-openapi
release: openapi
	$(step) $@ check scripts/test-release
prebuilt: release
	$(step) $@ check scripts/test-prebuilt
