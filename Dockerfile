# A server of the models in /models, computing on the processor.
#
#   docker build -t diptych .
#   docker run -p 127.0.0.1:8000:8000 -v "$PWD/models:/models" -e DIPTYCH_TOKEN=… diptych
#
# The folder must be writable for user 10001.
FROM python:3.11-slim AS build
# torch's builds for processors are a tenth of those with CUDA. They are on an index of its own, to be named here:
#   --build-arg PIP_EXTRA_INDEX_URL=…
ARG PIP_EXTRA_INDEX_URL=
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
RUN python -m venv /opt/diptych
RUN /opt/diptych/bin/pip install --no-cache-dir -c constraints.txt ".[serve,gallery,export,map]"

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home diptych && install -d -o diptych -g diptych /models
COPY --from=build /opt/diptych /opt/diptych
ENV PATH=/opt/diptych/bin:$PATH PYTHONUNBUFFERED=1
USER diptych
VOLUME /models
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/ready', timeout=4)"]
ENTRYPOINT ["diptych", "serve", "/models", "--host", "0.0.0.0"]
