# holdfast: the command line, the jobs that measure load, the operator. The context is holdfast's source. What
# `holdfast simulate` needs is left out: it is half as large again, and nobody simulates in a cluster.
#
# The base is Python 3.11.16 on Debian 12, as the official images' repo-info lists it (2026-08-25).
FROM python:3.11-slim-bookworm@sha256:0bee7276f83efd4a1ee05bbbf4281d95ed28e079220a9457f25a93e3f1e3c31b AS python

FROM python AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
# The constraints hold for what builds the package too: pip hands the variable on.
ENV PIP_CONSTRAINT=/source/constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/holdfast \
    && /opt/holdfast/bin/pip install '.[aws,tokenizers]' \
    && /opt/holdfast/bin/pip uninstall --yes pip setuptools \
    && /opt/holdfast/bin/holdfast --version

#checkov:skip=CKV_DOCKER_2:Kubernetes probes what serves, and a command line has no health
FROM python
LABEL org.opencontainers.image.title="holdfast" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/holdfast /opt/holdfast
ENV PATH=/opt/holdfast/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# By number: of a name Kubernetes cannot tell that it is not root.
USER 1000:1000
WORKDIR /tmp
ENTRYPOINT ["holdfast"]
CMD ["--help"]
