# syntax=docker/dockerfile:1
# A release pins the base by its digest: --build-arg BASE=python:3.13-slim-trixie@sha256:...
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS build
WORKDIR /build
COPY requirements.lock ./
# pip compiles bytecode, which a read-only root could not do later; the environment has no pip of its own.
RUN python3 -m venv --without-pip /opt/rotator \
    && python3 -m pip --python /opt/rotator/bin/python install --no-cache-dir --disable-pip-version-check \
       --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY rotator ./rotator
RUN python3 -m pip --python /opt/rotator/bin/python install --no-cache-dir --disable-pip-version-check --no-deps .

FROM ${BASE}
LABEL org.opencontainers.image.title="rotator" \
      org.opencontainers.image.description="Rotates the policy keysets of Azure AD B2C tenants ahead of their expiry" \
      org.opencontainers.image.licenses="MIT"
# Nothing is installed from here on; what could is taken away.
RUN python3 -m pip uninstall --yes --quiet pip || true
COPY --from=build /opt/rotator /opt/rotator
ENV PATH=/opt/rotator/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
EXPOSE 9464
STOPSIGNAL SIGTERM
ENTRYPOINT ["rotator"]
