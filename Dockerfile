# One image for every process; docker-compose.yml says which runs where.
FROM node:22-slim AS ui
WORKDIR /src/web
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY web ./
RUN npm run build

FROM python:3.11-slim
# SM3 in 0.7 of the time; the recorder does without where it is missing.
RUN apt-get update && apt-get install -y --no-install-recommends libgcrypt20 \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --home-dir /data bidwitness && install -d -o bidwitness /data
WORKDIR /src
COPY constraints.txt pyproject.toml README.md ./
COPY bidwitness bidwitness
COPY storage storage
COPY onvif onvif
COPY recorder recorder
COPY player player
COPY retention retention
COPY api api
COPY simulator simulator
COPY --from=ui /src/api/static api/static
RUN pip install --no-cache-dir -c constraints.txt . && rm -rf /src
WORKDIR /data
USER bidwitness
VOLUME /data
ENV BIDWITNESS_DATA=/data
ENTRYPOINT ["bidwitness"]
