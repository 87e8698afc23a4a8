# Two commands on a bare machine: `make run` and `make test`. Both set up .venv by themselves.

PYTHON ?= $(firstword $(foreach name,python3 python3.12 python3.11 python3.13 python3.14,$(shell command -v $(name) 2>/dev/null)))
BOOTSTRAP = $(or $(PYTHON),$(error Python 3.11 or newer is needed: apt install python3 python3-venv)) launcher/bootstrap.py

.DEFAULT_GOAL := help
.PHONY: help run demo test test-fast lint sdk bench chaos fuzz lock audit sbom clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

run: ## start everything and run the demo; PORT=8081 moves it, Ctrl-C stops it
	@$(BOOTSTRAP) run

demo: ## the same, but stop when the demo has completed; fails when it has not
	@$(BOOTSTRAP) demo

test: ## run the tests; ARGS="-k word" chooses
	@$(BOOTSTRAP) test $(ARGS)

test-fast: ## the tests that need no servers (unit, contract, house): half a minute
	@$(BOOTSTRAP) test-fast $(ARGS)

lint: ## check style, types and import rules
	@$(BOOTSTRAP) lint

sdk: ## write again what the SDK knows of the API, after a change of the OpenAPI document
	@$(BOOTSTRAP) sdk

bench: ## measure against raw Celery (minutes); ARGS="--only soak" chooses
	@$(BOOTSTRAP) bench $(ARGS)

chaos: ## the long crash tests (minutes)
	@$(BOOTSTRAP) chaos $(ARGS)

fuzz: ## random documents, 2,000 for each law (minutes)
	@$(BOOTSTRAP) fuzz $(ARGS)

lock: ## renew constraints.txt: the newest versions that setup.cfg allows, with their hashes
	@$(BOOTSTRAP) lock

audit: ## look up known vulnerabilities of the locked packages (needs an advisory service)
	@$(BOOTSTRAP) audit

sbom: ## write the software bill of materials of a release, sbom.cdx.json (CycloneDX)
	@$(BOOTSTRAP) sbom

clean: ## remove .venv and caches; var/ with your data stays
	@rm -rf .venv build *.egg-info sdk/*.egg-info sdk/build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
