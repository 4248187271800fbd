# make lab       set up what the lessons need, open JupyterLab on the first one        LAB_ARGS="--no-browser --port=8890"
# make test      set up what the tests need, run ruff, mypy and pytest                 TEST_ARGS="-k data -x"
# make test-browser       move every slider of every lesson in JupyterLab, and write the table of what was measured
# make lessons   execute the lessons whose source changed, bring the README's table up to date
# make exercises build the student files of the exercises from their sources, and what lessons share with them
# make mutants   try every check on right answers and on mistakes that students make, print the score    MUTANTS_ARGS="check_alpha"
# make assignments TO=~/course      an nbgrader course of all sets of exercises, there     RELEASE_ARGS="01 --due 2027-01-31T23:59"
# make class-check        every set of exercises released and graded, beside the class of 46 that make test grades
# make figures   write figures/ anew
# make site      the website, in site/: lessons executed in full, those that changed; needs Node.js with npm     SITE_ARGS="--fast 01"
# make slides    the deck of the lecture, in runs/slides/; needs Node.js, executes the lessons whose sliders it shows    SLIDES_ARGS="--fast"
# make colab-check        every lesson as Colab runs it, with its old ipywidgets and with this one
# make address URL=...    make this the project's address, in badges, setup cells and papers
#
# PYTHON=python3.12 picks the interpreter for a new .venv. The second call of a target installs nothing.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
LAB_ARGS ?=
TEST_ARGS ?=
MUTANTS_ARGS ?=
SLIDER_TABLE ?= runs/sliders.md
SITE_ARGS ?=
RELEASE_ARGS ?=
SLIDES_ARGS ?=

# JupyterLab asks nobody whether to fetch its news: a lesson opens without a question, and without the network.
SETTINGS := $(VENV)/share/jupyter/lab/settings
NO_NEWS := {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}

# Child processes find the environment's programs by name.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: lab test test-browser lessons exercises mutants figures site slides colab-check class-check assignments address
.DELETE_ON_ERROR:

lab: $(VENV)/lab.stamp
	@mkdir -p $(SETTINGS) && echo '$(NO_NEWS)' > $(SETTINGS)/overrides.json
	$(PY) -m jupyterlab --ServerApp.root_dir=notebooks --LabApp.default_url=/lab/tree/00_start_here.ipynb \
	  --ServerApp.ip=127.0.0.1 $$(test "$$(id -u)" != 0 || echo --allow-root) $(LAB_ARGS)

test: $(VENV)/dev.stamp
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) tests/parts.py $(TEST_ARGS)

test-browser: $(VENV)/dev.stamp
	SLIDER_TABLE=$(SLIDER_TABLE) $(PY) -m pytest tests/browser -m browser $(TEST_ARGS)
	@cat $(SLIDER_TABLE)

lessons: $(VENV)/dev.stamp
	$(PY) notebooks/build.py build
	$(PY) notebooks/build.py table

exercises: $(VENV)/dev.stamp
	$(PY) notebooks/exercises.py build

mutants: $(VENV)/dev.stamp
	$(PY) tests/mutants.py $(MUTANTS_ARGS)

figures: $(VENV)/dev.stamp
	$(PY) figures/build.py
	$(PY) notebooks/build.py covers
	$(PY) notebooks/build.py table

site: $(VENV)/dev.stamp
	$(PY) docs/make_site.py $(SITE_ARGS)

slides: $(VENV)/dev.stamp
	$(PY) docs/make_slides.py $(SLIDES_ARGS)

colab-check: $(VENV)/colab.stamp
	$(PY) -m pytest tests/test_colab.py -m "colab or not colab" $(TEST_ARGS)

assignments: $(VENV)/teach.stamp
	$(PY) -m ddpm_lite.teach release $(RELEASE_ARGS) --to $(if $(TO),$(TO),$(error name the folder: make assignments TO=~/course))

class-check: $(VENV)/dev.stamp
	$(PY) -m pytest tests/test_teach_grade.py -m "classroom or not classroom" --durations=0 $(TEST_ARGS)

address: $(VENV)/dev.stamp
	$(PY) notebooks/build.py stamp --url '$(URL)'

$(VENV)/lab.stamp: pyproject.toml | $(PY)
	$(PY) -m pip install --disable-pip-version-check -e ".[lab]"
	touch $@

$(VENV)/teach.stamp: pyproject.toml | $(PY)
	$(PY) -m pip install --disable-pip-version-check -e ".[lab,teach]"
	touch $(VENV)/lab.stamp $@

$(VENV)/dev.stamp: pyproject.toml | $(PY)
	$(PY) -m pip install --disable-pip-version-check -e ".[dev]"
	touch $(VENV)/lab.stamp $(VENV)/teach.stamp $@

$(VENV)/colab.stamp: $(VENV)/dev.stamp
	PYTHONPATH=notebooks $(PY) tests/as_in_colab.py $(VENV)/colab
	touch $@

$(PY):
	@$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info >= (3, 10) else 1)" || { \
	  echo "ddpm_lite needs Python 3.10 or newer, and '$(PYTHON)' is: $$($(PYTHON) --version 2>&1)."; \
	  echo "Name another one, for example: make PYTHON=python3.12 lab"; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "Could not create $(VENV); on Debian and Ubuntu: sudo apt-get install python3-venv"; exit 1; }
