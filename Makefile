# The few verbs people type. Each sets up the machine first (tests/setup: Debian or Ubuntu, once).
CARGO ?= cargo

.DEFAULT_GOAL := help
.PHONY: help test lint

help: ## say what there is
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

test: ## install what the tests need, run them all, print the totals last
	@tests/setup test
	@tests/run

lint: ## formatting, clippy, shell scripts, dependency fences
	@tests/setup lint
	@tests/lint
