# `make help` lists what there is to do.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test lint bench tools cargo

help: ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

demo: cargo tools ## a real MLflow server, a small pipeline with lineage, and searches; nothing of yours is touched
	@cargo build --locked --quiet --package runlineage-cli
	@tools/demo

test: cargo tools ## every test, against real servers (RUNLINEAGE_TEST_MLFLOW=2: against MLflow 2.22)
	@tools/with-servers cargo test --locked --workspace

lint: cargo ## formatting, clippy, documentation, and the library without the program
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
	cargo check --locked --package runlineage
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --all-features

bench: cargo tools ## what a sync and the searches cost
	cargo bench --locked --workspace

tools: ## the servers and clients for demo and test, into .tools (or TOOLS_DIR)
	@command -v python3 >/dev/null || { echo "python3 is missing: install Python 3.10 or later" >&2; exit 1; }
	@tools/install

cargo:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust 1.88 or later, with rustup or your system's packages" >&2; exit 1; }
