# `make` lists what there is. It needs make, Python 3.11 or later, and a package index that pip knows.

SHELL := /bin/sh
VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
PIP := $(PYTHON) -m pip --disable-pip-version-check install -q -q

# What `make demo` may be told: DATA=customers.csv LABEL=Churn POSITIVE=Yes BUDGET=5m PORT=8001 SERVE=0
export DATA LABEL POSITIVE BUDGET PORT SERVE

.DEFAULT_GOAL := help
.PHONY: help setup demo test check chaos bench bench-serve bench-quality bench-history bench-spark docs lock clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name words; do \
	  printf '  make %-14s %s\n' "$$name" "$$words"; done

setup: $(READY) ## make .venv with everything, pinned and hashed; again only when what is needed changes
	@echo '$(VENV) is ready. To have holdfast on the PATH: source $(VENV)/bin/activate'

demo: $(READY) ## find leavers among simulated customers, or yours: DATA=customers.csv LABEL=Churn [SERVE=0]
	@$(PYTHON) scripts/demo.py

# Tests start many processes, each of which would compile everything anew; and while one waits, others work.
test: export PYTHONDONTWRITEBYTECODE =
test: check ## everything that must hold: make check, then all tests
	$(PYTHON) -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder

check: $(READY) ## lint, format, types, and who may import whom
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(VENV)/bin/lint-imports --no-logo

chaos: $(READY) ## kills, outages, overload and a soak at the size of a night (about an hour; SQLite and PostgreSQL)
	CHAOS=1 $(PYTHON) -m pytest -q -rP -m chaos tests/chaos

bench: $(READY) ## speed and memory, as ratios measured in one run (about 8 minutes; QUICK=1: rougher, about 3)
	$(PYTHON) benchmarks/speed.py $(if $(QUICK),--quick)

bench-serve: $(READY) ## the service under load, beside an endpoint that does nothing (needs wrk; about 12 minutes)
	$(PYTHON) benchmarks/serve.py

bench-quality: $(READY) ## quality on a public churn table, a public log and simulations (about 40 minutes)
	$(PYTHON) benchmarks/quality.py
	$(PYTHON) benchmarks/history_quality.py

bench-history: $(READY) ## features of histories beside hand-written SQL: 1, 10 and 100 M events (about 6 minutes)
	$(PYTHON) benchmarks/history.py

bench-spark: $(READY) ## features and scoring in Spark, one executor and two, beside this process (about 10 minutes)
	$(PYTHON) benchmarks/spark.py

docs: $(READY) ## write anew the parts of docs/ that come from the code
	$(PYTHON) scripts/feature_table.py
	$(PYTHON) scripts/settings_table.py
	$(PYTHON) scripts/access_table.py

lock: ## pin all dependencies anew, with hashes and without index addresses (needs uv)
	@command -v uv >/dev/null || { echo 'Only this needs uv; install it with: pip install uv'; exit 1; }
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header pyproject.toml --all-extras --group dev -o requirements/dev.txt

clean: ## remove caches, builds and the demo's files; .venv and your .holdfast stay
	rm -rf build dist .holdfast-demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests scripts benchmarks -name __pycache__ -type d -exec rm -rf {} +

$(READY): pyproject.toml requirements/dev.txt
	@python=; for name in python3 python3.13 python3.12 python3.11 python3.14; do \
	  if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo 'Holdfast needs Python 3.11 or later, and none is on the PATH (python3, python3.11 to python3.14).'; exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$("$$python" --version); about a minute when packages are at hand."; \
	"$$python" -m venv $(VENV) || { \
	  echo 'No virtual environment could be made. On Debian and Ubuntu: apt-get install python3-venv'; exit 1; }
	@$(PIP) --require-hashes -r requirements/dev.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@
