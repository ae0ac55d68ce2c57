# The few verbs people type. Each sets up the machine first (tests/setup: Debian or Ubuntu, once).
CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
# Where cargo builds for another target than this machine's.
BUILDS = target$(addprefix /,$(CARGO_BUILD_TARGET))
BUILT ?= $(BUILDS)/release
PROGRAMS ?= $(BUILDS)/postscripts

# The commands of the management node, each with the section of its man page.
BINARIES = copycds:8 genimage:1 packimage:1 imgexport:1 imgimport:1 nodeset:8 makedhcp:8 makedns:8 slipway-trust:8 slipwayd:8 nodestat:1 updatenode:1 lsdef:1 mkdef:1 chdef:1 rmdef:1 mkdocker:1 rmdocker:1 lsdocker:1 rpower:1 rcons:1 dockerimage:1 setupregistry:8

.DEFAULT_GOAL := help
.PHONY: help demo test e2e e2e-container bench fuzz lint docs install dist image postscripts

help: ## list the verbs
	@sed -n 's/^\([a-z0-9-]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

demo: ## import a real medium without root, and serve a node what it installs from [ISO=path] [KEEP=1]
	@tests/setup demo
	@tests/demo $(if $(ISO),'$(ISO)')

test: ## install what the tests need, run them all, print the totals last
	@tests/setup test
	@tests/run

e2e: ## install a machine in qemu from a medium, and make it a docker host; as root [ISO=path]
	@tests/setup e2e
	@tests/e2e $(if $(ISO),'$(ISO)')

e2e-container: ## boot a machine from the management node in a container, beside the other tests of that image
	@tests/setup test
	@tests/machines/rootimg >/dev/null
	@$(CARGO) test --package e2e --locked -- container::

bench: ## measure copycds, lsdef, nodeset, makedhcp, slipwayd and genimage, and as root the programs for hosts, beside alternatives; docs/performance.md keeps it [ROUNDS=5] [AREAS="run nodeset"]
	@tests/setup bench
	@tests/bench/page $(if $(ROUNDS),--rounds $(ROUNDS)) $(AREAS)

fuzz: ## run every fuzz target [SECONDS=600 each]
	@tests/setup test
	@tests/fuzz/run $(or $(SECONDS),600)

lint: ## check formatting, clippy, shell scripts and dependency rules
	@tests/setup lint
	@tests/lint

docs: ## build pages and man pages as a site with search, in target/docs/html; check every link
	@tests/setup docs
	@[ -n "$$PROGRAMS_BUILT" ] || $(CARGO) build --quiet --locked $(foreach binary,$(BINARIES),--bin $(firstword $(subst :, ,$(binary))))
	@packaging/docs

install: ## install commands, the programs for hosts, man pages, completions and docs [PREFIX=/usr/local] [DESTDIR=]
	$(CARGO) build --release --locked $(foreach binary,$(BINARIES),--bin $(firstword $(subst :, ,$(binary))))
	@[ '$(PROGRAMS)' != $(BUILDS)/postscripts ] || packaging/postscripts >/dev/null
	@DESTDIR='$(DESTDIR)' packaging/install '$(DESTDIR)$(PREFIX)' $(BUILT) $(PROGRAMS) $(BINARIES)

dist: ## build a .deb and an .rpm for the management node, in target/dist [SIGNING_KEY=]
	@tests/setup dist
	@rm -rf target/dist
	@$(MAKE) --no-print-directory install PREFIX=/usr DESTDIR=target/dist/root
	@packaging/dist target/dist/root target/dist

IMAGE = target/image$(addprefix -,$(ARCH))
image: ## build container images of the management node and of slipwayd alone, without an engine, in target/image [ARCH=amd64|arm64] [SIGNING_KEY=]
	@tests/setup image $(ARCH)
	@rm -rf $(IMAGE)
	@$(addprefix packaging/cross ,$(ARCH)) $(MAKE) --no-print-directory install PREFIX=/usr DESTDIR=$(IMAGE)/root
	@packaging/image/build $(IMAGE)/root $(IMAGE)

postscripts: ## build the static programs that hosts run, each within its size limit
	@packaging/postscripts
