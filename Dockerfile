# A server of the models in /models, computing on the processor.
#
#   docker build -t diptych .
#   docker run -p 127.0.0.1:8000:8000 -v "$PWD/models:/models" -e DIPTYCH_TOKEN=… diptych
#
# The folder must be writable for user 10001 where jobs and uploads are wanted; mount it with :ro where not.
FROM python:3.11-slim AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
RUN python -m venv /opt/diptych
# The builds for processors are a tenth of those with CUDA; their version is that of the constraints with "+cpu".
RUN /opt/diptych/bin/pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" -c constraints.txt ".[serve,export]"

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
