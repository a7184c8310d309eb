# docker build -t mmedit .
# docker build -t mmedit --build-arg BASE=nvidia/cuda:12.6.3-runtime-ubuntu24.04 .
# docker run --rm -v "$PWD/work:/work" mmedit mmedit-build run miniature --work /work/miniature
#
# Without a daemon: buildah bud --isolation chroot --storage-driver vfs -t mmedit .
#
# BASE is any Debian or Ubuntu that has Python 3.11 or newer. Built so, and tried, over Debian 12 (with torch for
# processors: 2 GB, six minutes of two cores) and over Ubuntu 24.04, the system of NVIDIA's images, where torch from
# PyPI brings CUDA's libraries along; NVIDIA's own images could not be reached, and no GPU was at hand.
# TORCH is what pip is given besides the version, such as the index of a build for processors alone, which is
# smaller by some gigabytes: --build-arg TORCH="--index-url ...", as PyTorch's page on installing has it.
ARG BASE=python:3.11-slim
FROM ${BASE}
ARG TORCH=

RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/mmedit
ENV PATH=/opt/mmedit/bin:$PATH

WORKDIR /src
COPY constraints.txt pyproject.toml README.md LICENSE ./
RUN pip install --no-cache-dir ${TORCH} -c constraints.txt torch
COPY editors editors
COPY evaluation evaluation
COPY mmedit_build mmedit_build
COPY prompts prompts
COPY recipes recipes
RUN pip install --no-cache-dir -c constraints.txt .

WORKDIR /work
CMD ["mmedit-build", "--help"]
