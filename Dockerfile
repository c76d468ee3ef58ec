# Two stages: the first installs from the lock with hashes, the second holds nothing but the result.
# A tag is moved with each security update; `responder docs operating` says how to pin what was built on.
ARG PYTHON_IMAGE=python:3.13-slim
FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
RUN python -m venv /opt/responder
COPY requirements.lock .ci/build.lock ./
RUN /opt/responder/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY responder ./responder
# the build backend has a lock of its own: it is not in the image
RUN pip install --no-cache-dir --require-hashes -r build.lock \
    && pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /build/wheels . \
    && /opt/responder/bin/pip install --no-cache-dir --no-deps /build/wheels/*.whl \
    && /opt/responder/bin/pip uninstall -y pip

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="responder" \
      org.opencontainers.image.description="Stops Bitrix24 workflows that break a company's rules" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/responder /opt/responder
# nobody in this image has a name; the data belongs to the number it runs as
RUN mkdir -p /data && chown 65532:65532 /data
ENV PATH=/opt/responder/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    RESPONDER_HOST=0.0.0.0 \
    RESPONDER_DATABASE_URL=sqlite:////data/responder.db \
    RESPONDER_RULES=/data/rules.yaml
WORKDIR /data
VOLUME /data
USER 65532:65532
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=6s --start-period=10s CMD ["responder", "health"]
ENTRYPOINT ["responder"]
CMD ["serve"]
