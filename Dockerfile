# The image of rotator. The base has a Python and nothing that matters otherwise: Debian's slim image of CPython, or a
# root of your own. A release pins it by its digest: --build-arg BASE=python:3.14-slim-trixie@sha256:...
# 3.14 is the newest that all packages of requirements.lock have wheels for.
ARG BASE=python:3.14-slim-trixie

FROM ${BASE} AS build
WORKDIR /build
# A pip of this stage alone; /opt/rotator, which goes on to the next, has none.
RUN python3 -m venv /opt/tools \
    && python3 -m venv --without-pip /opt/rotator \
    && echo 'setuptools==84.2.1 --hash=sha256:ca140b45d5325a9478f880e351484f62fef15f336462e449ca0c03c873d589c2' > build.lock \
    && /opt/tools/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --requirement build.lock
COPY requirements.lock ./
RUN /opt/tools/bin/pip --python /opt/rotator/bin/python install --no-cache-dir --disable-pip-version-check --no-compile \
    --require-hashes --only-binary :all: --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY rotator ./rotator
# The root is read-only later, so bytecode is made now. It is not compared with the age of its source at each start: who
# builds reproducibly sets all ages alike.
RUN /opt/tools/bin/pip wheel --no-cache-dir --disable-pip-version-check --no-build-isolation --no-deps --wheel-dir . . \
    && /opt/tools/bin/pip --python /opt/rotator/bin/python install --no-cache-dir --disable-pip-version-check --no-compile \
       --no-deps rotator-*.whl \
    && find /opt/rotator/bin -mindepth 1 ! -name 'python*' ! -name rotator -delete \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/rotator

FROM ${BASE}
# What could install anything is taken away, and so is the right of programs to run as somebody else; the standard library is
# compiled where the base leaves that to the first start.
RUN find / -xdev -depth \( -path '*-packages/pip' -o -path '*-packages/pip-*' -o -path '*/bin/pip*' -o -name ensurepip \
       -o -path '*-packages/setuptools*' -o -path '*-packages/wheel*' -o -path '*/share/python-wheels' \) -exec rm -rf '{}' + \
    && find / -xdev -type f -perm /6000 -exec chmod a-s '{}' + \
    && python3 -c 'import compileall, sysconfig; compileall.compile_dir(sysconfig.get_path("stdlib"), quiet=2)'
COPY --from=build /opt/rotator /opt/rotator
ARG VERSION=unknown
ARG REVISION=unknown
ARG SOURCE=
ARG CREATED=
LABEL org.opencontainers.image.title="rotator" \
      org.opencontainers.image.description="Rotates the policy keysets of Azure AD B2C tenants ahead of their expiry" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.created="${CREATED}"
ENV PATH=/opt/rotator/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
EXPOSE 9464
STOPSIGNAL SIGTERM
# Whoever runs it asks /healthz and /readyz.
HEALTHCHECK NONE
ENTRYPOINT ["rotator"]
