# One image for every part: the scaler, the proxies, the web page, the commands.
#   docker build -t stoker:local .
#   docker build -t stoker:local --build-arg BASE=registry.example.org/python:3.13-slim .
# The base needs Python 3.11 to 3.14 as python3, with venv, and a shell. Nothing is compiled: every package comes as a wheel.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
# Packages from an index of your own.
ARG PIP_INDEX_URL
COPY . /src
RUN python3 -m venv /opt/stoker \
 && /opt/stoker/bin/python -m pip install --no-cache-dir --disable-pip-version-check --constraint /src/constraints.txt /src \
 && mkdir -p /state \
 && /opt/stoker/bin/python -c 'import os, addon, stoker; [os.symlink(os.path.dirname(part.__file__), f"/opt/stoker/{part.__name__}") for part in (addon, stoker)]'

FROM ${BASE}
COPY --from=build /opt/stoker /opt/stoker
COPY --from=build --chown=10001:10001 /state /state
ENV PATH=/opt/stoker/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/state \
    STOKER_STATE_DIR=/state \
    PYTHONUNBUFFERED=1
VOLUME /state
USER 10001:10001
WORKDIR /state
CMD ["stoker", "--help"]
