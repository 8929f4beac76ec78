# gpunn in a container, in two targets:
#
#   docker build --target cpu  -t gpunn .
#   docker build --target cuda -t gpunn:cuda .
#
# Without a target it is the first. Nothing but /runs and /cache is written to. The driver of a GPU comes from the
# machine, by the NVIDIA Container Toolkit. No compiler is inside: for the emulator, add g++ in an image made from this.

# Debian with Python 3.11 to 3.13 and its module venv. A digest pins it to the last byte:
# --build-arg BASE=docker.io/library/python@sha256:...
ARG BASE=docker.io/library/python:3.13.15-slim-trixie


# Debian's packages are downloaded and unpacked, not installed: so nothing they depend on comes along. Their contents
# are those of the base's suite, checked by apt against its signature.
FROM ${BASE} AS debian
WORKDIR /packages
RUN apt-get update \
    && apt-get download dataset-fashion-mnist tini \
    && dpkg-deb --extract dataset-fashion-mnist_*.deb unpacked \
    && dpkg-deb --extract tini_*.deb unpacked
WORKDIR /files
RUN mkdir -p usr/bin usr/share/datasets/fashion-mnist usr/share/doc/dataset-fashion-mnist usr/share/doc/tini \
    && cp /packages/unpacked/usr/bin/tini-static usr/bin/tini \
    && cp /packages/unpacked/usr/share/datasets/fashion-mnist/*.gz --target-directory usr/share/datasets/fashion-mnist \
    && cp /packages/unpacked/usr/share/doc/tini/copyright usr/share/doc/tini/ \
    && cp /packages/unpacked/usr/share/doc/dataset-fashion-mnist/copyright usr/share/doc/dataset-fashion-mnist/


# What gpunn depends on, in a virtual environment without pip: it changes with pyproject.toml only.
FROM ${BASE} AS packages
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/gpunn
WORKDIR /source
COPY pyproject.toml ./
RUN python3 -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
    print(*project['dependencies'], *project['optional-dependencies']['fast'], sep='\n')" > requirements.txt \
    && /opt/pip/bin/pip --python /opt/gpunn/bin/python install --no-cache-dir --requirement requirements.txt


# gpunn itself, below /installed, so that a change of it leaves the layer of its dependencies as it was.
FROM packages AS gpunn
COPY README.md ./
COPY kernels kernels
COPY gpunn gpunn
RUN /opt/pip/bin/pip --python /opt/gpunn/bin/python install --no-cache-dir --no-deps --no-warn-script-location --root /installed .


FROM ${BASE} AS runtime
# Whoever --user names may write to the volumes as well.
RUN useradd --uid 10001 --user-group --no-log-init --no-create-home --home-dir /cache --shell /usr/sbin/nologin gpunn \
    && install --directory --mode 1777 /runs /cache
COPY --from=debian /files /
ENV PATH=/opt/gpunn/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/cache \
    TMPDIR=/cache \
    GPUNN_CACHE=/cache/gpunn \
    MPLCONFIGDIR=/cache/matplotlib
VOLUME ["/runs", "/cache"]
# A run without another --out lies in runs/ of the folder it is started in.
WORKDIR /
USER 10001:10001
# Process 1 passes signals on and reaps what others leave; gpunn as process 1 would not hear SIGTERM before it trains.
ENTRYPOINT ["/usr/bin/tini", "--", "gpunn"]
CMD ["train", "--data", "fashion-mnist"]
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=2 \
    CMD ["python", "-m", "gpunn.heartbeat", "/runs"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="gpunn" \
      org.opencontainers.image.description="Train convolutional networks on hand-written CUDA kernels, with a NumPy backend beside them" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"


FROM runtime AS cpu
COPY --from=packages /opt/gpunn /opt/gpunn
COPY --from=gpunn /installed /


FROM packages AS cuda-packages
RUN python3 -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
    print(*project['optional-dependencies']['cuda13'], sep='\n')" > requirements.txt \
    && /opt/pip/bin/pip --python /opt/gpunn/bin/python install --no-cache-dir --requirement requirements.txt


FROM runtime AS cuda
ENV CUPY_CACHE_DIR=/cache/cupy \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=cuda-packages /opt/gpunn /opt/gpunn
COPY --from=gpunn /installed /


FROM cpu
