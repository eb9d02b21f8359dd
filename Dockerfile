# One image for every service, the jobs and the `paperless` command; docker-compose.yml says what each container runs.

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
# Where pip finds packages is pip's own configuration: `docker compose build --build-arg PIP_INDEX_URL=...`.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
WORKDIR /src
RUN python -m venv --without-pip /opt/paperless
# The locked dependencies first: this layer is kept as long as the lock is.
COPY requirements/image.txt requirements/uv.txt requirements/
COPY tools/__init__.py tools/install.py tools/
RUN python -m tools.install --into /opt/paperless --require-hashes --only-binary :all: -r requirements/image.txt
COPY . .
# The build backend stays behind.
RUN pip --python /opt/paperless/bin/python install --no-deps --no-build-isolation . \
 && pip --python /opt/paperless/bin/python uninstall --yes hatchling pathspec pluggy trove-classifiers

FROM python:3.13-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="paperless" \
      org.opencontainers.image.description="A running model of Vietnam's paperless intake" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# A fixed number: volumes keep their owner when the image is built anew. A named volume takes over the owner of the
# folder it is first mounted on, so the folders of the secrets job exist for every container that may have a secret.
RUN groupadd --gid 10001 paperless \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/paperless --shell /usr/sbin/nologin paperless \
 && install -d -o 10001 -g 10001 -m 0750 /var/lib/paperless \
 && cd /srv && install -d -o 10001 -g 10001 -m 0750 \
      secrets secrets/kafka secrets/topics secrets/migrate secrets/portal secrets/intake secrets/vneid-mock \
      secrets/scoring secrets/scoring-api secrets/demo \
      secrets/api secrets/front secrets/driver secrets/verifier secrets/ca
COPY --from=build /opt/paperless /opt/paperless
COPY deploy/image/healthy deploy/image/steady /usr/local/bin/
# Bytecode is in the image already; the root file system is read-only.
ENV PATH=/opt/paperless/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/paperless
CMD ["paperless", "--help"]
