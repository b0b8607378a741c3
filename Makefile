# What people type here. `make` alone says what there is.

PREFIX ?= /usr/local
# For `make test ARGS=…`: handed to `cargo test`.
ARGS ?=

target := $(or $(CARGO_TARGET_DIR),target)

# Rust's installer puts cargo here, and tells only new shells.
export PATH := $(PATH):$(HOME)/.cargo/bin

# Tests wait for other processes most of the time: more of them than processors.
export RUST_TEST_THREADS ?= 4

.PHONY: help demo test soak bench build install lint docs have-cargo have-postgres have-pgbouncer have-python

help:
	@echo 'make demo      build, bring up a private Postgres, and run the quick start for real'
	@echo 'make test      all tests, on a private Postgres that comes and goes with them'
	@echo 'make soak      the same tests, with every count in full, and then on a bare Debian'
	@echo 'make bench     the measurements in bench/'
	@echo 'make build     the program, optimised: $(target)/release/rework'
	@echo 'make install   put it into $$(PREFIX)/bin: $(PREFIX)/bin'
	@echo 'make lint      formatting and warnings'
	@echo 'make docs      the documentation of the code'

demo: have-cargo have-postgres
	cargo build --release --package rework-cli --package examples
	scripts/demo

# The tests start the programs themselves, so all of them must be there first.
test: have-cargo have-postgres have-pgbouncer have-python
	cargo build --workspace --all-targets
	scripts/with-postgres cargo test --workspace $(ARGS)
	scripts/with-postgres scripts/test-python

soak: have-cargo have-postgres have-pgbouncer have-python
	cargo build --workspace --all-targets
	REWORK_SOAK=1 scripts/with-postgres cargo test --workspace $(ARGS)
	REWORK_SOAK=1 scripts/with-postgres scripts/test-python
	scripts/fresh-machine --or-skip

bench: have-cargo have-postgres have-pgbouncer
	cargo build --release --workspace --bins
	@set -e; for measure in figures over-tls through-pgbouncer; do scripts/with-postgres bench/$$measure; done

build: have-cargo
	cargo build --release --package rework-cli

# Root, who may have no cargo, installs what somebody else has built.
install:
	@if command -v cargo >/dev/null || [ ! -x $(target)/release/rework ]; then $(MAKE) build; fi
	install -d '$(DESTDIR)$(PREFIX)/bin'
	install -m 755 $(target)/release/rework '$(DESTDIR)$(PREFIX)/bin/rework'

lint: have-cargo have-python
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	scripts/lint-python

docs: have-cargo
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --workspace

have-cargo:
	@command -v cargo >/dev/null || { \
		echo 'error: cargo is not installed' >&2; \
		echo "hint: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh" >&2; \
		exit 1; }

# Asked for before anything is built, which takes minutes.
have-postgres:
	@scripts/ensure-postgres >/dev/null

have-pgbouncer:
	@scripts/ensure-pgbouncer >/dev/null

have-python:
	@scripts/ensure-python >/dev/null
