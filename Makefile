# What there is to do here. The work is done by scripts/ and rebar3; `make` alone lists the targets.

# Where scripts/require puts a rebar3.
export PATH := $(PATH):$(CURDIR)/_build/tools

.PHONY: help run build test test-long test-galera test-alerts lab see test-upgrade test-packages matrix docs sanitize bench bench-full bench-maps release \
	archive deb image format clean

help:
	@echo 'make run      a node with two static domains, and an Erlang shell on it; all its data is below data/'
	@echo '              DB=postgres://USER@HOST/NAME, DB=mysql://USER@HOST/NAME or DB=sqlite:FILE'
	@echo '                                                               another database than data/domains.db'
	@echo '              DATA=DIR                                         another directory than data/'
	@echo '              NODE=NAME@HOST                                   let other Erlang nodes connect'
	@echo 'make build    the native library and the Erlang application'
	@echo 'make test     every check and every test'
	@echo 'make test-long  the models of the table and the simulated faults of the follower, many more of each, in about an hour'
	@echo 'make test-galera   nodes at a Galera cluster of three servers, which fail in every way (needs root)'
	@echo 'make test-alerts    a real Prometheus at a node: each fault fires its alert'
	@echo 'make lab      three sites with Patroni, etcd, HAProxy and PgBouncer, a node in each, faults, and a check of what was seen (root)'
	@echo '              SEED=NUMBER MINUTES=NUMBER FAULTS=NAME,...       again what a run has shown; how long; which faults'
	@echo 'make see      plants faults into copies of the code and says which of them the simulation finds'
	@echo 'make test-upgrade  nodes of the version before are upgraded to this one, under load'
	@echo 'make matrix   both commands on Debian 12, 13 and the next one, each on a new system; ROW=trixie for one (root)'
	@echo 'make docs     the reference of the Erlang modules and of the Rust crates; checks the documents'"'"' links'
	@echo 'make sanitize the tests of the table under the compiler'"'"'s sanitizers, in some minutes'
	@echo 'make bench    the benchmarks, in some minutes; make bench-full three quarters of an hour for more of them'
	@echo '              make bench-maps: the table beside other maps, without the VM'
	@echo 'make release  a tarball that runs where neither Erlang nor Rust is installed'
	@echo 'make archive  the application as it is built here, for systems without Rust and a C compiler'
	@echo 'make deb      a Debian package: a node as a service of systemd'
	@echo 'make image    an OCI image of a node (as root)'
	@echo 'make test-packages  installs, upgrades and removes both on systems of their own (as root), in some ten minutes'
	@echo 'make format   formats the Rust sources'
	@echo 'make clean    removes everything that was built; data/ stays'
	@echo
	@echo 'What run, build, test and release need, they install on Debian and Ubuntu; Rust has to be there.'

run:
	@scripts/run

build:
	@scripts/require run
	native/build
	rebar3 compile

test:
	@scripts/test

test-long:
	@scripts/test-long

test-galera:
	@scripts/test-galera

test-alerts:
	@scripts/test-alerts

lab:
	@SEED=$(SEED) MINUTES=$(MINUTES) FAULTS=$(FAULTS) SYNCHRONOUS=$(SYNCHRONOUS) lab/run

see:
	@lab/see

test-upgrade:
	@scripts/test-upgrade

matrix:
	@scripts/matrix/run $(ROW)

docs:
	@scripts/docs

sanitize:
	@scripts/sanitize

bench:
	@bench/run

bench-full:
	@bench/run full

bench-maps:
	cargo bench --locked --package domain_core --bench maps --bench tails

release:
	@scripts/require run
	rebar3 as prod tar

archive:
	@scripts/archive

deb:
	@scripts/deb

image:
	@scripts/image

test-packages:
	@scripts/test-packages

format:
	cargo fmt --all

clean:
	rm -rf _build target priv/domain_nif.so priv/bin
