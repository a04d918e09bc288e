# iaros: PGXS build. `make help` lists the targets.
EXTENSION = iaros
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" iaros.control)

# One name per domain on every floor, in dependency order.
DOMAINS = core audit airport customer consent loyalty profile rfm model \
	lifecycle segment offer promo recommend message campaign attribution analytics demo

MODULE_big = iaros
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))
DATA_built = iaros--$(EXTVERSION).sql
DOCS = README.md

# compat.h comes first everywhere: it exports what the server calls.
PG_CPPFLAGS = -I$(srcdir)/src -include src/compat.h
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers -fvisibility=hidden -MMD -MP
SHLIB_LINK = -Wl,-Bsymbolic

# libxml2 reads PMML, PCRE2 does its regular expressions.
PG_CPPFLAGS += $(shell xml2-config --cflags)
SHLIB_LINK += -lxml2 -lpcre2-8

# DEV=1, which the tests set: warnings are errors, assertions are on.
# ASAN=1: with the address and undefined behaviour sanitizers.
ifdef DEV
PG_CPPFLAGS += -DUSE_ASSERT_CHECKING=1
PG_CFLAGS += -Werror
endif
ifdef ASAN
PG_CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=undefined
SHLIB_LINK += -fsanitize=address,undefined
endif

EXTRA_CLEAN = build test/results test/isolation/results $(OBJS:.o=.d) \
	$(wildcard iaros--*.sql)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null || true)
ifneq ($(PGXS),)
include $(PGXS)
else
# demo, test, bench and lint bring what they need; the others do not.
all install uninstall clean:
	@echo 'There is no pg_config: install postgresql-server-dev-15 or' \
		'set PG_CONFIG, or run make demo.' >&2
	@false
.PHONY: all install uninstall clean
endif

# A domain is sql/<domain>.sql; further parts of it are sql/<domain>_*.sql.
iaros--$(EXTVERSION).sql: sql/header.sql \
		$(foreach d,$(DOMAINS),sql/$d.sql $(sort $(wildcard sql/$d_*.sql))) \
		sql/footer.sql Makefile iaros.control
	cat $(filter sql/%,$^) | sed 's/@DOMAINS@/$(DOMAINS)/' > $@

# Everything is built again when the compiler or its flags change, a file
# when a header that it includes does.
build/flags: FORCE
	@mkdir -p build
	@echo '$(subst ','\'',$(CC) $(CPPFLAGS) $(CFLAGS) $(SHLIB_LINK))' | \
		cmp -s - $@ || \
		echo '$(subst ','\'',$(CC) $(CPPFLAGS) $(CFLAGS) $(SHLIB_LINK))' > $@
$(OBJS): build/flags
$(OBJS:.o=.bc): %.bc: %.o
-include $(OBJS:.o=.d)

test:
	test/run $(ONLY)

bench:
	test/bench/run $(ONLY)

demo:
	test/demo

lint:
	test/lint

check-asan:
	test/asan $(ONLY)

cluster-start:
	test/cluster install
	test/cluster start

cluster-stop:
	test/cluster stop

cluster-destroy:
	test/cluster destroy

help:
	@echo 'make, make install   build and install for the server of PG_CONFIG'
	@echo 'make demo            the main job on a private cluster, step by step'
	@echo 'make test            all tests; ONLY="rfm promo" for some of them'
	@echo 'make bench           benchmarks; BENCH_ROWS=1000000 for more rows'
	@echo 'make lint            formatting, static checks, orphan tests'
	@echo 'make check-asan      tests with the address sanitizer'
	@echo 'make cluster-start   private cluster with iaros; also -stop, -destroy'
	@echo 'make clean           remove what was built'

FORCE:
.PHONY: FORCE test bench demo lint check-asan cluster-start cluster-stop \
	cluster-destroy help
