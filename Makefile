# Everything a person or the CI runs. Each target installs what it needs.
# Root is needed for what touches network namespaces: 'sudo make demo', 'sudo make test'.

CARGO ?= scripts/cargo
TRIPLE := $(shell $(CARGO) -vV 2>/dev/null | sed -n 's/^host: //p')
RELEASE := target/$(TRIPLE)/release/fairlead
export FAIRLEAD_BIN := $(abspath $(RELEASE))
# Most tests wait for engines and kernels more than they compute.
export RUST_TEST_THREADS ?= $(shell expr 3 '*' "$$(nproc)")

.PHONY: help deps build demo test check lint fmt bench install docker-plugin nuage-rpm nuage-image nuage-plugin clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

deps: ## install the Debian packages that building and testing need
	@scripts/install-deps

build: ## build the release binary
	$(CARGO) build --locked --release --package fairlead
	@ls -l $(RELEASE)

demo: deps build ## put two containers on a network, publish a port, take it all away
	@scripts/demo $(RELEASE)

# The release is linked by one core for minutes; the tests are compiled on the other meanwhile,
# and stand back before, so that it comes to that soon.
test: deps ## every test: pure, on this kernel, on User Mode Linux, end to end
	$(MAKE) build & build=$$!; \
	nice $(CARGO) test --locked --workspace --no-run || { kill $$build; exit 1; }; \
	wait $$build
	$(CARGO) test --locked --workspace --no-fail-fast

lint: ## formatter and clippy, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

fmt: ## format the code
	$(CARGO) fmt --all

bench: deps build ## measure against the reference plugins and the kernel's floor, in a large cluster, and beside servers of names and Docker
	$(CARGO) run --locked --release --package fairlead-bench
	$(CARGO) run --locked --release --package fairlead-bench --bin fairlead-bench-size
	$(CARGO) run --locked --release --package fairlead-bench --bin fairlead-bench-dns
	$(CARGO) run --locked --release --package fairlead-bench --bin fairlead-bench-docker
	$(CARGO) run --locked --release --package fairlead-bench --bin fairlead-bench-oci
	$(CARGO) run --locked --release --package fairlead-bench --bin fairlead-bench-nuage

install: build ## install the binary and its names below PREFIX (default /usr/local)
	install -D -m 0755 $(RELEASE) $(DESTDIR)$(PREFIX)/bin/fairlead
	$(DESTDIR)$(PREFIX)/bin/fairlead install --links $(DESTDIR)$(PREFIX)/bin

docker-plugin: build ## make the folder that 'docker plugin create fairlead FOLDER' takes, PLUGIN (default target/docker-plugin)
	@scripts/make-docker-plugin $(RELEASE) $(PLUGIN)
	@echo "docker plugin create fairlead $(PLUGIN) && docker plugin enable fairlead"

nuage-rpm: deps build ## make the RPM of nuage-libnetwork in NUAGE_RPMS (default target); its version: 'export version=...'
	@scripts/make-nuage-package rpm $(RELEASE) $(NUAGE_RPMS)

nuage-image: build ## make the archive that 'docker load -i nuage-plugin.tar' takes, NUAGE_IMAGE (default target/nuage-plugin.tar); its tag: 'export version=...'
	@scripts/make-nuage-package image $(RELEASE) $(NUAGE_IMAGE)

nuage-plugin: build ## make the folder that 'docker plugin create nuage FOLDER' takes, NUAGE_PLUGIN (default target/nuage-plugin)
	@scripts/make-nuage-package plugin $(RELEASE) $(NUAGE_PLUGIN)
	@echo "docker plugin create nuage $(NUAGE_PLUGIN) && docker plugin enable nuage"

clean: ## remove what was built
	$(CARGO) clean

PREFIX ?= /usr/local
PLUGIN ?= target/docker-plugin
NUAGE_RPMS ?= target
NUAGE_IMAGE ?= target/nuage-plugin.tar
NUAGE_PLUGIN ?= target/nuage-plugin
