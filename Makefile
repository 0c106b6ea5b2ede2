# Kora. `make` alone lists the targets; each is a line or two here, the rest is in scripts/.
.DEFAULT_GOAL := help
.PHONY: help run build test lint format bench fuzz v8 clean

HOST ?= 127.0.0.1
PORT ?= 9926
APP ?= components

help: ## list the targets
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

# Installs what is missing and settles the engine for the commands that follow.
prepare = KORA_ENGINE=$$(scripts/install) && export KORA_ENGINE

run: ## build (debug: ready soonest) and serve components/ with hot reload; APP=dir HOST= PORT=
	@$(prepare) && scripts/timed "debug build with $$KORA_ENGINE" scripts/cargo build --bin kora && \
	scripts/cargo run --quiet --bin kora -- dev $(APP) --host $(HOST) --port $(PORT)

build: ## the release binary, as bin/kora
	@$(prepare) && scripts/build

test: ## every test, on this machine's engine; KORA_ENGINES="v8 quickjs" for both
	@scripts/test

lint: ## rustfmt and clippy; warnings fail
	@scripts/timed rustfmt cargo fmt --all --check
	@$(prepare) && scripts/timed clippy scripts/cargo clippy --workspace --all-targets -- -D warnings

format: ## rewrite the sources as rustfmt wants them
	@cargo fmt --all

bench: ## speed and memory against a bare hyper handler and mosquitto; some minutes after the build
	@test -x /usr/sbin/mosquitto || scripts/packages mosquitto || true
	@$(prepare) && scripts/build && scripts/timed 'build of the load generator' cargo build --release --quiet -p kora-load && \
	cargo run --release --quiet -p kora-load -- bench --engine "$$KORA_ENGINE"

fuzz: ## fuzz the parsers and decoders, ten minutes each; SECONDS= and TARGETS="json yaml" for less
	@fuzz/run $(or $(SECONDS),600) $(TARGETS)

v8: ## build V8 from the crate's source, for machines without GitHub; about 95 minutes on 2 cores
	@scripts/build-v8

clean: ## remove what was built
	@cargo clean && rm -rf bin
