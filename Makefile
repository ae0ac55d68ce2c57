# The few verbs people type. Each sets up the machine first (tests/setup: Debian or Ubuntu, once).
CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
BUILT ?= target/release
PROGRAMS ?= target/postscripts

# What runs on the management node, and the section of its man page.
BINARIES = copycds:8 genimage:1 nodeset:8 updatenode:1 lsdef:1 mkdef:1 chdef:1 rmdef:1 \
    mkdocker:1 rmdocker:1 lsdocker:1 rpower:1 rcons:1 dockerimage:1

.DEFAULT_GOAL := help
.PHONY: help demo test e2e bench fuzz lint install dist postscripts

help: ## say what there is
	@sed -n 's/^\([a-z0-9]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: ## import a real medium without root, and serve a node what it installs from [ISO=path] [KEEP=1]
	@tests/setup demo
	@tests/demo $(if $(ISO),'$(ISO)')

test: ## install what the tests need, run them all, print the totals last
	@tests/setup test
	@tests/run

e2e: ## a bare machine in qemu becomes a docker host, from a medium on; as root [ISO=path]
	@tests/setup e2e
	@tests/e2e $(if $(ISO),'$(ISO)')

bench: ## measure copycds, lsdef and nodeset, and as root what hosts run, beside other ways [ROUNDS=5]
	@tests/setup bench
	@tests/bench/run --rounds $(or $(ROUNDS),5)
	@tests/bench/nodeset --rounds $(or $(ROUNDS),5)
	@if [ "$$(id -u)" -eq 0 ]; then tests/bench/bridge --rounds $(or $(ROUNDS),10) && \
	tests/bench/dockerhost --rounds $(or $(ROUNDS),5) && tests/bench/updatenode --rounds $(or $(ROUNDS),3); \
	else echo "what hosts run is not measured: tests/bench/{bridge,dockerhost,updatenode} need root"; fi

fuzz: ## feed every reader of foreign bytes with damaged ones [SECONDS=600 each]
	@tests/setup test
	@tests/fuzz/run $(or $(SECONDS),600)

lint: ## formatting, clippy, shell scripts, dependency fences
	@tests/setup lint
	@tests/lint

install: ## commands, what hosts run, man pages, completions and docs [PREFIX=/usr/local] [DESTDIR=]
	$(CARGO) build --release --locked $(foreach binary,$(BINARIES),--bin $(firstword $(subst :, ,$(binary))))
	@[ '$(PROGRAMS)' != target/postscripts ] || tests/postscripts >/dev/null
	@tests/install '$(DESTDIR)$(PREFIX)' $(BUILT) $(PROGRAMS) $(BINARIES)

dist: ## a .deb and an .rpm of the management node, in target/dist
	@tests/setup dist
	@rm -rf target/dist
	@$(MAKE) --no-print-directory install PREFIX=/usr DESTDIR=target/dist/root
	@tests/dist target/dist/root target/dist

postscripts: ## build the static programs that hosts run, within their budgets
	@tests/postscripts
