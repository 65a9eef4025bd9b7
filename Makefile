# make lab    the course in JupyterLab; the first time it installs everything into .venv
# make test   everything that is tested, in the same .venv with the test tools added
# All paths are relative, so a folder whose name has spaces is fine.

VENV := .venv
PY := $(VENV)/bin/python
NB ?=
ARGS ?=
SITE ?= site
PINS := constraints.txt

.PHONY: help lab test test-fast test-minimum notebooks notebook site bench lint clean
.DEFAULT_GOAL := help

help:
	@echo "make lab                  open the course in JupyterLab (NB=08 opens one notebook, ARGS=--no-browser)"
	@echo "make test                 run all tests and all notebooks (ARGS='-k paths' runs some)"
	@echo "make test-fast            the tests that take seconds: no notebooks, no browser, nothing marked slow"
	@echo "make test-minimum         run the fast tests under the lowest versions that pyproject.toml allows"
	@echo "make notebooks            build every notebooks/*.ipynb from notebooks/source/*.py"
	@echo "make notebook NB=08       build one, by its number or part of its name"
	@echo "make bench                what is fast: ratios against plain code, in one run (ARGS='--rounds 5 --threads 1')"
	@echo "make site                 pages of all notebooks in $(SITE)/, to read without a kernel (ARGS=--still runs nothing)"
	@echo "make lint                 format, style and types of the code"
	@echo "make clean                remove caches and build leftovers; .venv stays, delete it yourself"

lab: $(VENV)/.lab
	@$(PY) -m dgm_course lab $(NB) $(ARGS)

# Two at a time, one thread each; then notebooks and browsers one by one. Exit 5: ARGS left nothing to run there.
test: lint
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist worksteal -m "not notebooks and not browser" $(ARGS) || test $$? -eq 5
	$(PY) -m pytest -m "notebooks or browser" $(ARGS) || test $$? -eq 5

test-fast: $(VENV)/.test
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist worksteal -m "not notebooks and not browser and not solved and not slow" $(ARGS)

# In $(VENV)-minimum, by Python 3.10 or 3.11: some of the lowest versions have no wheels for newer ones.
test-minimum:
	@$(MAKE) -s VENV=$(VENV)-minimum PINS=constraints-minimum.txt PYTHON="$(or $(PYTHON),python3.10 python3.11)" \
		$(VENV)-minimum/.test
	OMP_NUM_THREADS=1 $(VENV)-minimum/bin/python -m pytest -n 2 --dist worksteal \
		-m "not notebooks and not browser and not solved" $(ARGS)

notebooks: $(VENV)/.test
	$(PY) -m dgm_course.teach.build

notebook: $(VENV)/.test
	@test -n "$(NB)" || { echo "Say which: make notebook NB=08_flow_matching"; exit 2; }
	$(PY) -m dgm_course.teach.build $(NB)

bench: $(VENV)/.test
	$(PY) -m benchmarks $(ARGS)

site: $(VENV)/.test
	$(PY) -m dgm_course site "$(SITE)" $(ARGS)

lint: $(VENV)/.test
	$(PY) -m ruff format --check -q .
	$(PY) -m ruff check -q .
	$(PY) -m mypy

clean:
	rm -rf build dist solved *.egg-info .pytest_cache .ruff_cache $(VENV)/.lab $(VENV)/.test
	find dgm_course tests notebooks -name __pycache__ -prune -exec rm -rf {} +
	find notebooks -name .ipynb_checkpoints -prune -exec rm -rf {} +

# The stamps: nothing is installed twice unless pyproject.toml or constraints.txt changed.
$(VENV)/.lab: pyproject.toml $(PINS)
	@$(call install,.)
	@touch $@

$(VENV)/.test: pyproject.toml $(PINS)
	@$(call install,.[test])
	@touch $(VENV)/.lab $@

# Python 3.10 to 3.13 first, for those the pinned versions are known to resolve; then any newer one. Each
# candidate is run, not just looked for: a name on the PATH may lead nowhere.
define install
set -e; \
old='import sys; sys.exit(sys.version_info < (3, 10))'; \
if ! { $(PY) -c "$$old" && $(PY) -m pip --version; } >/dev/null 2>&1; then \
  found=; \
  for last in 14 99; do \
    for p in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.10 python3.14 python; do \
      if test -z "$$found" && $$p -c "import sys, venv, ensurepip; \
sys.exit(not (3, 10) <= sys.version_info < (3, $$last))" >/dev/null 2>&1; then found=$$p; fi; \
    done; \
  done; \
  if test -z "$$found"; then \
    echo "The course needs Python 3.10 or newer (with its venv module), and none was found; python3 here is:" \
         "$$(python3 --version 2>&1 || true). Install one and say make again, or name it: make lab PYTHON=/path/to/python3"; \
    exit 1; \
  fi; \
  echo "Making $(VENV) with $$($$found --version)"; \
  $$found -m venv --clear $(VENV); \
fi; \
echo "Installing the course into $(VENV), once: a few minutes in which nothing is printed (cut off, the same command goes on)"; \
$(PY) -m pip install --quiet --disable-pip-version-check -c $(PINS) -e "$(1)"; \
$(PY) -c "import matplotlib.font_manager"
endef
