# The few verbs people type. Each sets up the machine first (tests/setup: Debian or Ubuntu, once).
CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
BUILT ?= target/release

# What runs on the management node, and the section of its man page.
BINARIES = copycds:8 lsdef:1 mkdef:1 chdef:1 rmdef:1

.DEFAULT_GOAL := help
.PHONY: help demo test bench fuzz lint install postscripts

help: ## say what there is
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: ## import a real medium without root and list its osimages [ISO=path] [KEEP=1]
	@tests/setup demo
	@tests/demo $(if $(ISO),'$(ISO)')

test: ## install what the tests need, run them all, print the totals last
	@tests/setup test
	@tests/run

bench: ## measure copycds and lsdef, and as root what hosts run, beside other ways [ROUNDS=5]
	@tests/setup bench
	@tests/bench/run --rounds $(or $(ROUNDS),5)
	@if [ "$$(id -u)" -eq 0 ]; then tests/bench/bridge --rounds $(or $(ROUNDS),10) && \
	tests/bench/dockerhost --rounds $(or $(ROUNDS),5); \
	else echo "what hosts run is not measured: tests/bench/bridge and tests/bench/dockerhost need root"; fi

fuzz: ## feed every reader of foreign bytes with damaged ones [SECONDS=600 each]
	@tests/setup test
	@tests/fuzz/run $(or $(SECONDS),600)

lint: ## formatting, clippy, shell scripts, dependency fences
	@tests/setup lint
	@tests/lint

install: ## binaries, man pages, completions and docs [PREFIX=/usr/local] [DESTDIR=]
	$(CARGO) build --release --locked -p copycds -p definitions --bins
	@tests/install '$(DESTDIR)$(PREFIX)' $(BUILT) $(BINARIES)

postscripts: ## build the static programs that hosts run, within their budgets
	@tests/postscripts
