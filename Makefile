# jieshui: `make` alone prints what there is.
VENV   := .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
SEED   ?= $(shell date +%N | sed 's/^0*//')

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-check demo-servers-check test test-docker crash-test hostile-test backlog-test daiad-test check format test-image servers bench bench-ingest bench-store bench-influx bench-telegraf bench-parts bench-kinds lock clean

help: ## print this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make the virtual environment from requirements.lock

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "jieshui needs Python 3.11 or newer; this is $$($(PYTHON) -V)."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "This Python has no venv: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## a virtual city with real water, streaming; SERVERS=1: on InfluxDB and PostgreSQL
	$(BIN)/jieshui demo $(if $(SERVERS),--servers)

demo-check: setup ## stream a year, compare planted and found (SEED=… to choose the city)
	$(BIN)/jieshui demo --check --seed $(SEED)

demo-servers-check: setup ## the same over Mosquitto, InfluxDB and PostgreSQL, started for it
	$(BIN)/jieshui demo --check --servers --seed $(SEED)

test: setup ## every test; parts that are missing are skipped with the reason
	$(BIN)/pytest -n 2

test-docker: setup ## the tests on real servers once more, with those in Docker (tests/servers/local_images.sh)
	JIESHUI_TEST_SERVERS=docker $(BIN)/pytest -n 2 -m servers tests/contract tests/servers

crash-test: setup ## kill -9 over ingest, broker and store (ROUNDS=1000 SEED=… STORE=influxdb)
	$(BIN)/python tests/endurance/crash.py --rounds $(or $(ROUNDS),1000) --seed $(SEED) \
	  --store $(or $(STORE),embedded)

hostile-test: setup ## hostile messages beside a good supplier (N=1000000 SEED=…)
	$(BIN)/python tests/endurance/hostile.py --messages $(or $(N),1000000) --seed $(SEED)

backlog-test: setup ## the store away while readings arrive, then back (N=20000000 STORE=influxdb)
	$(BIN)/python tests/endurance/backlog.py --readings $(or $(N),20000000) \
	  --store $(or $(STORE),embedded)

daiad-test: setup ## a year of 92 real households through the real broker, beside a plain recomputation
	DAIAD_HOUSEHOLDS=all $(BIN)/pytest -q -s tests/servers/test_daiad.py

check: setup ## linters, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

format: setup ## let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test-image: setup ## build the image of all processes; test it and the compose file (Docker)
	docker build $(if $(BASE),--build-arg BASE=$(BASE)) --file deploy/Dockerfile --tag jieshui .
	JIESHUI_TEST_IMAGE=jieshui $(BIN)/pytest tests/servers/test_image.py tests/servers/test_compose.py

servers: ## install what the full test set wants (Debian or Ubuntu, as root)
	tests/servers/install.sh

bench: bench-ingest bench-store ## both benchmarks

bench-ingest: setup ## messages a second, acknowledged and stored, beside mosquitto_sub and plain paho
	$(BIN)/python bench/ingest.py
	$(BIN)/python bench/ingest.py --tls --api
	$(BIN)/python bench/ingest.py --messages 5000 --readings 100

bench-parts: setup ## CPU time a reading, part by part, from the packets to the request
	$(BIN)/python bench/parts.py

bench-kinds: setup ## CPU time a message: every dialect, every kind of hostile message
	$(BIN)/python bench/kinds.py

bench-store: setup ## a year of 2,000 meters: volumes, nights, totals, beside bare DuckDB
	$(BIN)/python bench/store.py --meters 2000 --days 365

bench-influx: setup ## loads into InfluxDB beside bare POSTs of the same lines, questions beside bare Flux
	$(BIN)/python bench/influx.py
	$(BIN)/python bench/influx_queries.py

bench-telegraf: setup ## a backlog from Mosquitto into InfluxDB, beside Telegraf
	$(BIN)/python bench/telegraf.py

LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-emit-find-links --no-annotate --no-header pyproject.toml

lock: ## write requirements.lock and the image's share of it anew (needs uv)
	$(LOCK) --all-extras -o requirements.lock
	$(LOCK) --extra postgresql --extra demo -c requirements.lock -o deploy/requirements.lock

clean: ## remove the environment and every cache (not var/)
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist *.egg-info
