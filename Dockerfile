# One image for every role: API, worker, beat, migrations, Flower, simulator.
ARG PYTHON_VERSION=3.12

FROM python:${PYTHON_VERSION}-slim AS build
RUN apt-get update -q && apt-get install -qy --no-install-recommends binutils
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv --without-pip /opt/venv
COPY requirements.lock /tmp/
# Every file is one that the lock's hashes name; nothing is resolved and nothing is compiled here.
RUN python -m pip --python /opt/venv/bin/python install --no-compile --require-hashes \
      --no-deps --only-binary :all: -r /tmp/requirements.lock
# What nothing here runs: tests, sources and debug symbols of extensions, what flask-openapi3-redoc asks
# for, which is here for the script in it and never imported, and what rich highlights source code with.
RUN python -m pip --python /opt/venv/bin/python uninstall --yes --quiet \
      flask-openapi3 pydantic pydantic-core annotated-types typing-inspection \
      pygments markdown-it-py mdurl \
    && find /opt/venv/lib -name "*.so" -exec strip --strip-unneeded {} + \
    && find /opt/venv/lib -type d \( -name test -o -name tests -o -name testing \) -prune -exec rm -r {} + \
    && find /opt/venv/lib -type f \( -name "*.c" -o -name "*.pyi" -o -name "*.pxd" -o -name "*.map" \) -delete

FROM python:${PYTHON_VERSION}-slim
LABEL org.opencontainers.image.title="kasparro" \
      org.opencontainers.image.description="One trustworthy price per crypto asset" \
      org.opencontainers.image.licenses="MIT"
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONPATH=/app \
    ENVIRONMENT=production \
    KASPARRO_DATA_DIR=/tmp/kasparro
# A fixed number, so that volumes and network policies can name it. /data/csv is what a new volume
# takes its owner from. What installs software has no place where nothing is to be installed.
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin kasparro \
    && install -d -o kasparro -g kasparro /data/csv \
    && rm -rf /usr/local/lib/python3*/site-packages/* /usr/local/lib/python3*/ensurepip \
      /usr/local/bin/pip* ~/.cache
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY pyproject.toml celeryconfig.py ./
COPY data ./data
COPY migrations ./migrations
COPY tasks ./tasks
COPY service ./service
# Bytecode of what the roles load, and of nothing else: compiling all would make the image a third
# larger, compiling nothing would make every start two seconds longer.
RUN DATABASE_URL=postgresql://build/ REDIS_URL=redis://build/ python -c \
      "import service.wsgi, tasks.celery_app, flower.command, celery.bin.celery, gunicorn.app.wsgiapp, \
       gunicorn.workers.gthread, tasks.simulator.server" \
    && python -m compileall -q tasks service migrations celeryconfig.py \
    && rm -rf /tmp/* ~/.cache
ENV PYTHONDONTWRITEBYTECODE=1
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-m", "service.cli", "probe"]
ENTRYPOINT ["python", "-m", "service.cli"]
CMD ["api", "--host", "0.0.0.0"]
