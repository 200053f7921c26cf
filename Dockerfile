# The images of docker-compose.yml, a target each. Their bases are arguments: another language, another
# Go, a registry of one's own. Nothing here needs a builder's extensions, so every builder will do.
ARG GO_IMAGE=golang:1.26
ARG GIT_IMAGE=debian:bookworm-slim
ARG APP_IMAGE=node:24-slim

FROM ${GO_IMAGE} AS build
ENV CGO_ENABLED=0
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN go build -trimpath -buildvcs=false -ldflags='-s -w' -o /out/usr/local/bin/paas .
# Where volumes are mounted, for each image: a new volume takes owner, mode and content from the folder
# that it covers. No image has more than it needs: two that fill the shared volume at once must not meet
# in a file. The git image has its hooks, so that their volume need never be written to.
RUN mkdir -p /git/paas/ssh /git/paas/sources /git/paas/hooks /app/paas /sidecar/paas/sources && \
    ln -s /usr/local/bin/paas /git/paas/hooks/pre-receive && ln -s /usr/local/bin/paas /git/paas/hooks/post-receive && \
    chmod -R u=rwX,go= /git/paas /app/paas /sidecar/paas && chown -Rh 1000:1000 /git/paas /app/paas /sidecar/paas

# The git remote: the SSH door and the receiver. Any Debian or Ubuntu will do as a base.
FROM ${GIT_IMAGE} AS git
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates git && rm -rf /var/lib/apt/lists/*
COPY --from=build /out /git /
ENV PAAS_ROOT=/paas HOME=/paas
USER 1000:1000
ENTRYPOINT ["paas"]
CMD ["serve", "git"]

# What builds and runs the apps, and the front door. The base brings their language.
FROM ${APP_IMAGE} AS app
COPY --from=build /out /app /
ENV PAAS_ROOT=/paas HOME=/paas
USER 1000:1000
ENTRYPOINT ["paas"]
CMD ["serve", "app"]

# What follows repositories hosted elsewhere: the binary, certificates, and nothing else.
FROM scratch AS sidecar
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out /sidecar /
ENV PAAS_ROOT=/paas HOME=/paas PATH=/usr/local/bin
USER 1000:1000
ENTRYPOINT ["paas"]
CMD ["serve", "sidecar"]
