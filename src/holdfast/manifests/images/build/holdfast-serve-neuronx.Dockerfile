# holdfast beside PyTorch for Inferentia2 and Trainium, for models that vLLM does not serve. The context is holdfast's source.
FROM python:3.11-slim-bookworm@sha256:0bee7276f83efd4a1ee05bbbf4281d95ed28e079220a9457f25a93e3f1e3c31b AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
ENV PIP_CONSTRAINT=/source/constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN pip wheel --no-deps --wheel-dir /wheels .

# The base is AWS's Neuron Deep Learning Container for inf2, trn1 and trn2 with what optimum-neuron 0.4.5 is pinned to:
# Python before 3.12, PyTorch 2.8, neuronx-cc 2.21 (its pyproject.toml, and README.md of
# github.com/aws-neuron/deep-learning-containers, read 2026-11-21). Later bases have another Python.
#checkov:skip=CKV_DOCKER_2:Kubernetes probes the server, and has probes of its own for loading
FROM public.ecr.aws/neuron/pytorch-inference-neuronx:2.8.0-neuronx-py311-sdk2.26.1-ubuntu22.04
LABEL org.opencontainers.image.title="holdfast-serve-neuronx" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /wheels /wheels
# What the base has keeps its version, as its framework was built for it: where holdfast cannot do with one, this fails.
# But for numpy: Neuron's compiler takes it up to 1.26, where holdfast asks for 2 and its server does not need it. What the
# base lacks, optimum-neuron chooses, which is pinned and pins transformers and diffusers in turn.
RUN python -m pip list --format=freeze > /wheels/base.txt \
    && python -m pip install --no-cache-dir --disable-pip-version-check --no-deps /wheels/*.whl \
    && python -c "import importlib.metadata as m; print(*(one.split(';')[0] for one in m.requires('holdfast') \
         if not one.startswith('numpy') and (';' not in one or one.endswith((\"'serve'\", \"'page'\", \"'aws'\")))), \
         sep='\n')" > /wheels/needed.txt \
    && python -m pip install --no-cache-dir --disable-pip-version-check --constraint /wheels/base.txt \
         --requirement /wheels/needed.txt 'optimum-neuron[diffusers]==0.4.5' \
    && holdfast serve --help > /dev/null \
    && rm -r /wheels
# Models and compiled code are in volumes; the root file system is read-only.
ENV HOME=/cache HF_HOME=/cache/huggingface PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# By number: of a name Kubernetes cannot tell that it is not root.
USER 1000:1000
WORKDIR /tmp
ENTRYPOINT ["holdfast"]
CMD ["serve", "--help"]
