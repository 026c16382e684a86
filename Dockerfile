# The workflow with the packages of requirements.lock. Config, data and results lie in /study (CONTRIBUTING.md says how to use it).
FROM python:3.12-slim

WORKDIR /opt/swsa
# Only another lock installs the packages anew.
COPY requirements.lock ./
RUN python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes --requirement requirements.lock
COPY . .
RUN python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation --editable . \
    && useradd --uid 1000 --create-home swsa \
    && install --directory --owner swsa /study

# What models download is kept with the results; a user given by --user has no home here.
ENV XDG_CACHE_HOME=/study/.cache
USER 1000
WORKDIR /study
VOLUME /study
HEALTHCHECK NONE
ENTRYPOINT ["snakemake", "--snakefile", "/opt/swsa/Snakefile"]
CMD ["--cores", "all"]
