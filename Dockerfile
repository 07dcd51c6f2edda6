# One image for every role: API, worker, beat, migrations, Flower, simulator.
# The build stage has pip; the final stage has neither pip's cache nor a compiler.
ARG PYTHON_VERSION=3.12

FROM python:${PYTHON_VERSION}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
RUN python -m venv /opt/venv
COPY requirements.lock ./
RUN /opt/venv/bin/pip install --require-hashes --only-binary :all: -r requirements.lock \
    && /opt/venv/bin/pip uninstall --yes pip \
    && find /opt/venv -name __pycache__ -prune -exec rm -r {} + \
    && find /opt/venv -type d -name tests -prune -exec rm -r {} +

FROM python:${PYTHON_VERSION}-slim
LABEL org.opencontainers.image.title="kasparro" \
      org.opencontainers.image.description="One trustworthy price per crypto asset" \
      org.opencontainers.image.licenses="MIT"
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/app \
    PROMETHEUS_MULTIPROC_DIR=/tmp/metrics \
    ENVIRONMENT=production
# A fixed number, so that volumes and network policies can name it.
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin kasparro
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY pyproject.toml celeryconfig.py ./
COPY data ./data
COPY migrations ./migrations
COPY tasks ./tasks
COPY service ./service
RUN python -m compileall -q tasks service migrations celeryconfig.py
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-m", "service.cli", "probe"]
ENTRYPOINT ["python", "-m", "service.cli"]
CMD ["api"]
