# The few verbs people type. Each sets up the machine first (tests/setup: Debian or Ubuntu, once).
CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
BUILT ?= target/release

# What runs on the management node, and the section of its man page.
BINARIES = copycds:8 lsdef:1 mkdef:1 chdef:1 rmdef:1

.DEFAULT_GOAL := help
.PHONY: help demo test bench fuzz lint install

help: ## say what there is
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: ## import a real medium without root and list its osimages [ISO=path] [KEEP=1]
	@tests/setup demo
	@tests/demo $(if $(ISO),'$(ISO)')

test: ## install what the tests need, run them all, print the totals last
	@tests/setup test
	@tests/run

bench: ## measure copycds beside cp and other readers [ROUNDS=5]
	@tests/setup bench
	@tests/bench/run --rounds $(or $(ROUNDS),5)
	@tests/bench/dockerhost --rounds $(or $(ROUNDS),5)

fuzz: ## feed every reader of foreign bytes with damaged ones [SECONDS=600 each]
	@tests/setup test
	@tests/fuzz/run $(or $(SECONDS),600)

lint: ## formatting, clippy, shell scripts, dependency fences
	@tests/setup lint
	@tests/lint

install: ## binaries, man pages, completions and docs [PREFIX=/usr/local] [DESTDIR=]
	$(CARGO) build --release --locked -p copycds -p definitions --bins
	@tests/install '$(DESTDIR)$(PREFIX)' $(BUILT) $(BINARIES)

.PHONY: postscripts
# Static programs for hosts of any age: musl where its target is installed, glibc linked in otherwise.
HOST_TARGET := $(shell rustc -vV | sed -n 's/^host: //p')
MUSL_TARGET := $(subst -gnu,-musl,$(HOST_TARGET))
STATIC_TARGET := $(if $(wildcard $(shell rustc --print sysroot)/lib/rustlib/$(MUSL_TARGET)),$(MUSL_TARGET),$(HOST_TARGET))

postscripts: ## build the static programs that hosts run (xHRM is bridgeprereq's old name)
	RUSTFLAGS="-C target-feature=+crt-static -C relocation-model=static" \
		$(CARGO) build --profile postscript --locked --target $(STATIC_TARGET) -p postscripts --bins
	ln -sf bridgeprereq target/$(STATIC_TARGET)/postscript/xHRM
	@ls -l target/$(STATIC_TARGET)/postscript/bridgeprereq
