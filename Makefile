# `make help` lists the targets.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test soak lint spelling dependencies release-check release upgrade-proof bench tools cargo python chromium

TOOLS := $(or $(TOOLS_DIR),.tools)
# Most tests mainly wait for a server or a timeout, so twice as many tests run at once as there are cores.
THREADS := $(or $(RUST_TEST_THREADS),$(shell echo $$((2 * $$(nproc)))))
TESTED := mongod mongosh mlopus pymongo readers schemathesis browser python mlflow$(or $(RUNLINEAGE_TEST_MLFLOW),3)

help: ## print this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

demo: cargo python ## start an MLflow server, run a small pipeline, mirror and search it; all in temporary folders
	@tools/install mongod mongosh mlopus mlflow3
	@cargo build --locked --quiet --package runlineage-cli
	@tools/demo

test: cargo python chromium ## run every test against real servers (RUNLINEAGE_TEST_MLFLOW=2: against MLflow 2.22)
	@tools/install $(TESTED)
	@RUST_TEST_THREADS=$(THREADS) tools/with-servers cargo test --locked --workspace
	@tools/python-test

soak: ## run every test with the full counts of kills, random searches and edits
	@RUNLINEAGE_TEST_SCALE=full $(MAKE) --no-print-directory test

lint: cargo ## check formatting, clippy, documentation, and the library without the program; of the Python package too
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
	cargo check --locked --package runlineage
	cargo fmt --manifest-path python/Cargo.toml --check
	CARGO_TARGET_DIR=$${CARGO_TARGET_DIR:-target} cargo clippy --locked --manifest-path python/Cargo.toml --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --all-features

spelling: python ## check the spelling of every file
	@tools/install typos
	$(TOOLS)/typos/bin/typos

dependencies: cargo ## check licences, sources and advisories of the dependencies
	@cargo deny --version >/dev/null 2>&1 || { echo "cargo-deny is missing: cargo install --locked cargo-deny" >&2; exit 1; }
	cargo deny --all-features --locked check
	cargo deny --manifest-path python/Cargo.toml --locked check --config deny.toml

release-check: cargo ## check before a release that the version fits the changes of the library's interface (BASELINE=a Git revision)
	@cargo semver-checks --version >/dev/null 2>&1 || { echo "cargo-semver-checks is missing: cargo install --locked cargo-semver-checks" >&2; exit 1; }
	cargo semver-checks --package runlineage $(if $(BASELINE),--baseline-rev $(BASELINE))

release: cargo ## make every artefact of a release in dist/ (a Docker engine has to run)
	tools/release

upgrade-proof: cargo python ## prove that databases of older versions survive the upgrade (BASELINE=a Git revision; default: every tag v*)
	@tools/install mongod mlopus mlflow3
	tools/upgrade-proof $(BASELINE)

bench: cargo tools ## measure what a sync, the searches and the walks cost
	cargo bench --locked --workspace

tools: python ## install every server and client into .tools (or TOOLS_DIR)
	@tools/install

chromium:
	@for name in "$$CHROMIUM" chromium chromium-browser google-chrome; do command -v "$$name" >/dev/null && exit 0; done; \
		echo "Chromium is missing: the tests of the web page need it. Debian, Ubuntu: apt-get install chromium; or set CHROMIUM to the program" >&2; exit 1

python:
	@command -v python3 >/dev/null || { echo "python3 is missing: install Python 3.10 or later" >&2; exit 1; }

cargo:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust 1.88 or later, with rustup or your system's packages" >&2; exit 1; }
