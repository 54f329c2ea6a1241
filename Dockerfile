# Gives the image that every service of docker-compose.yml runs: `notify` and what it needs, as a user without rights.

FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE Procfile beat_schedule.py ./
COPY notify notify
COPY templates templates
COPY examples/roster.csv examples/roster.csv
RUN --mount=type=cache,target=/root/.cache/pip \
    pip wheel --no-deps --wheel-dir /wheels . \
 && python -m venv --without-pip /opt/notify \
 && pip --python /opt/notify/bin/python install --constraint constraints.txt /wheels/*.whl

FROM python:3.12-slim
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/notify --shell /usr/sbin/nologin notify \
 && install --directory --owner notify --group notify /var/lib/notify \
 && install --directory /etc/notify/templates
COPY --from=build /opt/notify /opt/notify
ENV PATH=/opt/notify/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NOTIFY_DATA_DIR=/var/lib/notify \
    NOTIFY_TEMPLATES_DIR=/etc/notify/templates \
    NOTIFY_WEB_HOST=0.0.0.0
USER 10001:10001
WORKDIR /var/lib/notify
VOLUME /var/lib/notify
EXPOSE 8025
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ.get('NOTIFY_WEB_PORT', 8025)}/health\", timeout=3)"]
ENTRYPOINT ["notify"]
CMD ["web"]
