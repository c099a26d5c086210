# The image of the load generator and of all that it starts: the harness, the ingress and the workers of each test.
FROM python:3.13.7-slim-bookworm AS build

WORKDIR /app
COPY requirements.lock pyproject.toml README.md LICENSE THIRD_PARTY.md ./
# The whole lock, tools included, into a stage that is thrown away. From it uv takes what a run needs and nothing else,
# checked against the same hashes. Compiled here, because the user of the image could not write what it compiles.
RUN python -m pip install --no-cache-dir --require-hashes --requirement requirements.lock \
    && python -m venv --without-pip /venv \
    && uv pip install --python /venv/bin/python --no-cache --compile-bytecode --require-hashes \
        --constraint requirements.lock --requirement pyproject.toml
COPY harness harness
COPY chaos chaos
COPY scenarios scenarios
# Editable, so that scenarios/create_order.py is the one that is imported and the one that `locust -f` names.
RUN python -m hatchling build --target wheel:editable --directory /dist \
    && uv pip install --python /venv/bin/python --no-cache --no-deps /dist/*.whl \
    && python -m compileall -q harness chaos scenarios

FROM python:3.13.7-slim-bookworm

RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent sagastorm
WORKDIR /app
COPY --from=build /venv /venv
COPY --from=build /app /app
# A new volume that is mounted on one of these becomes its owner's.
RUN install --directory --owner sagastorm --group sagastorm runs targets
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1
USER sagastorm
CMD ["sagastorm", "--help"]
