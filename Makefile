# SPDX-License-Identifier: GPL-2.0-only
# The commands of iommu-owner. Kernel makefiles are not included here: kernels
# are built from build/linux, which "make assemble" makes.

ifneq ($(words $(CURDIR)),1)
$(error kbuild cannot build below a path with spaces: move "$(CURDIR)")
endif

.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

KSRC ?=
REFRESH_TO ?=
PART ?=
export KSRC REFRESH_TO PART

# Each base tree has its own build directory; see build_dir() in dev/tree/.
ifeq ($(KSRC),)
BUILD := $(CURDIR)/build
else
BUILD := $(shell dev/tree.py path build)
ifeq ($(BUILD)$(filter help setup,$(MAKECMDGOALS)),)
$(error no build directory for KSRC=$(KSRC))
endif
endif
export BUILD

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16
	@echo 'Variables:'
	@printf 'KSRC=DIR\tuse this kernel tree, git or plain, as the base; it is not changed\n' | expand -t 16
	@printf 'REFRESH_TO=STEP\tthe step that "make refresh" gives unclear changes to\n' | expand -t 16
	@printf 'PART=NAME\tthe part of patches/series whose mails "make series" exports\n' | expand -t 16

setup: ## install every package that is needed (also done by each target)
	@dev/setup all

setup-base:
	@dev/setup base

setup-test:
	@dev/setup test

demo: assemble ## the story on the screen: who owns which group, and what that stops
	@dev/demo

test: assemble ## build, boot and run the tests that CI runs
	@dev/test

test-long: setup-test assemble ## all tests, also those that CI has no time for
	@dev/test --long

check: setup assemble ## checkpatch, sparse, W=1, clang, kernel-doc, htmldocs, cross-builds
	@dev/check

bench: assemble ## instructions per operation, stock and patched kernel
	@dev/bench --limit
	@dev/bench --lines --limit --no-build

kernel: assemble ## build the test kernel
	@dev/build test

shell: kernel ## boot the test kernel and open a shell in it
	@dev/boot --shell

assemble: setup-base ## make build/linux: the base tree with one commit per step
	@dev/tree.py assemble

refresh: setup-base ## sort edits made in build/linux back into this repo
	@dev/tree.py refresh

discard: ## throw away edits made in build/linux
	@dev/tree.py discard

series: assemble ## export the mails into build/series, prove that git am gives our tree
	@dev/tree.py series

parts: setup-test assemble ## build, boot and test the kernel at the end of each part of the series
	@dev/test parts

prefixes: assemble ## build each prefix of the series, our options on and off
	@dev/tree.py prefixes

prefixes-quick: assemble ## the same, but only the objects of the folders that we touch
	@dev/tree.py prefixes --quick

tool: setup-base ## build iommu-owner(8)
	@$(MAKE) -C tools/iommu/iommu-owner

deb: ## build the Debian package of iommu-owner(8), into build/deb
	@dev/setup deb
	@dev/deb/build tool

tooltest: ## test the commands that assemble and refresh
	@/usr/bin/python3 -m unittest discover -s dev/tests

clean: ## remove what was built; the trees and the compiler cache stay
	@rm -rf $(BUILD)/out $(BUILD)/prefix $(BUILD)/series* $(BUILD)/logs

distclean: ## remove build/
	@rm -rf build

.PHONY: help setup setup-base setup-test demo test test-long check bench kernel shell assemble \
	refresh discard series parts prefixes prefixes-quick tool deb tooltest clean distclean
