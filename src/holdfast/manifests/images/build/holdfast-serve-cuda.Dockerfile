# holdfast beside PyTorch for NVIDIA GPUs, for models that vLLM does not serve. The context is holdfast's source.
FROM python:3.11-slim-bookworm@sha256:0bee7276f83efd4a1ee05bbbf4281d95ed28e079220a9457f25a93e3f1e3c31b AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
ENV PIP_CONSTRAINT=/source/constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN pip wheel --no-deps --wheel-dir /wheels .

# The base is AWS's Deep Learning Container, patched until 2027-07-20 (docs/src/data/pytorch/2.13-cuda-ec2.yml of
# github.com/aws/deep-learning-containers, read 2026-11-21).
#checkov:skip=CKV_DOCKER_2:Kubernetes probes the server, and has probes of its own for loading
FROM public.ecr.aws/deep-learning-containers/pytorch:2.13.0-cu133-amzn2023
LABEL org.opencontainers.image.title="holdfast-serve-cuda" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /wheels /source/constraints.txt /wheels/
# What the base has keeps its version, as its framework was built for it: where holdfast cannot do with one, this fails.
# What it lacks has the version of the constraints; torchvision and torchaudio are not needed, and stay as they are.
RUN python -m pip list --format=freeze > /wheels/base.txt \
    && awk -F '[=]=' '{ name = tolower($1); gsub(/[-_.]+/, "-", name) } \
         FILENAME ~ /base/ { base[name] = 1; print; next } !(name in base)' \
         /wheels/base.txt /wheels/constraints.txt > /wheels/both.txt \
    && python -m pip install --no-cache-dir --disable-pip-version-check --constraint /wheels/both.txt \
         "$(echo /wheels/*.whl)[serve,page,aws]" \
    && holdfast serve --help > /dev/null \
    && rm -r /wheels
# Models and compiled code are in volumes; the root file system is read-only.
ENV HOME=/cache HF_HOME=/cache/huggingface PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# By number: of a name Kubernetes cannot tell that it is not root.
USER 1000:1000
WORKDIR /tmp
ENTRYPOINT ["holdfast"]
CMD ["serve", "--help"]
