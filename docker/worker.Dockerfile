# The tagging worker, and what mirrors models into a serving pod.
#
#   docker build -f docker/worker.Dockerfile -t vitrine/worker:0.1.0 .      (BuildKit; `make images` builds all)
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
COPY requirements/worker.txt /tmp/
# The lock names every file by its hash, and nothing is compiled here, for there is no compiler.
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/tools/bin/pip --python /opt/vitrine/bin/python install --disable-pip-version-check --no-compile \
        --require-hashes --only-binary :all: -r /tmp/worker.txt
WORKDIR /opt/vitrine/lib
# What only tests and builds read: 24 MB.
RUN rm -rf python3*/site-packages/numpy/distutils python3*/site-packages/numpy/f2py && \
    find python3*/site-packages/numpy -type d -name tests -prune -exec rm -r {} + && \
    find . -type f \( -name '*.a' -o -name '*.h' -o -name '*.pyi' \) -delete
# Symbols that nothing links against: 13 MB. Those of numpy's own libraries stay, for strip breaks what was moved
# about in them; that every library still loads is seen at once.
# hadolint ignore=DL3008,DL3009
RUN apt-get update -qq && \
    apt-get install -qq --yes --no-install-recommends binutils && \
    find . -type f -name '*.so*' ! -path '*/numpy.libs/*' -exec strip --strip-unneeded {} + && \
    /opt/vitrine/bin/python -c "import ctypes, pathlib; [ctypes.CDLL(str(path)) for path in pathlib.Path.cwd().rglob('*.so*')]"
# Byte code that is never compared with its source: nothing at run time may write a newer one.
RUN /opt/vitrine/bin/python -W ignore -m compileall -q -f -j 0 --invalidation-mode unchecked-hash .

# Weights that only training reads, and the catalogue, which no worker imports (`make lint` holds that): 8 MB.
FROM vitrine AS needed
RUN find /out/opt/vitrine/lib -type f -path '*/model_training/*.npz' -delete && \
    rm -r /out/opt/vitrine/lib/python3*/site-packages/dam /out/opt/vitrine/bin/vitrine

FROM ${BASE_IMAGE}
# A tmpfs mounted on the state folder takes over its mode, but root owns it: so everybody may write there. The
# official base has pip.
RUN groupadd --gid 10001 vitrine && \
    useradd --uid 10001 --gid vitrine --home-dir /var/lib/vitrine --no-create-home --shell /usr/sbin/nologin \
        vitrine && \
    install -d -m 1777 /var/lib/vitrine && \
    if python3 -m pip --version >/dev/null 2>&1; then \
        python3 -m pip uninstall --yes --root-user-action ignore setuptools wheel pip; \
    fi && \
    library="$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" && \
    rm -rf /usr/share/python-wheels "$library/ensurepip"
COPY --from=dependencies /opt/vitrine /opt/vitrine
COPY --from=needed /out/opt/vitrine /opt/vitrine
# The official base's standard library has no byte code: Python writes that of the modules which are used here, and of no
# others, as it imports them.
RUN /opt/vitrine/bin/python -c "import workers.__main__, model_training.mirror.__main__, pipeline.telemetry.probe"

ENV PATH=/opt/vitrine/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    VITRINE_HOME=/var/lib/vitrine \
    VITRINE_HEALTH_HOST=0.0.0.0 \
    VITRINE_HEALTH_PORT=9464 \
    VITRINE_LOG_FORMAT=json
WORKDIR /var/lib/vitrine
USER 10001:10001
EXPOSE 9464
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-m", "pipeline.telemetry.probe"]
CMD ["python", "-m", "workers"]

ARG BASE_IMAGE
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
ARG VITRINE_SOURCE=
LABEL org.opencontainers.image.title="Vitrine worker" \
      org.opencontainers.image.description="Reads the queue, prepares pictures and asks the model for their tags." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${VITRINE_SOURCE}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}"
