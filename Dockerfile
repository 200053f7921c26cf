# The images of docker-compose.yml, one target each. The base images are arguments, for another
# language, another Go or another registry. This uses no BuildKit extensions, so any builder works.
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
# The mount points of each image: a new volume gets its owner, mode and content from the folder it
# covers. Each image has only the folders it needs, because two containers that fill the shared volume
# at the same time must not write the same file. The git image includes its hooks, so their volume
# can be read-only.
RUN mkdir -p /git/paas/ssh /git/paas/sources /git/paas/hooks /git/paas/link /app/paas/link /front/paas/link \
      /sidecar/paas/sources && \
    ln -s /usr/local/bin/paas /git/paas/hooks/pre-receive && ln -s /usr/local/bin/paas /git/paas/hooks/post-receive && \
    chmod -R u=rwX,go= /*/paas && chown -Rh 1000:1000 /*/paas

# The git remote: SSH and receiver. The base can be any Debian or Ubuntu.
FROM ${GIT_IMAGE} AS git
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates git && rm -rf /var/lib/apt/lists/*
COPY --from=build /out /git /
ENV PAAS_ROOT=/paas HOME=/paas
USER 1000:1000
ENTRYPOINT ["paas"]
CMD ["serve", "git"]

# The runtime, which builds and runs the apps. The base has their language.
FROM ${APP_IMAGE} AS app
COPY --from=build /out /app /
ENV PAAS_ROOT=/paas HOME=/paas
USER 1000:1000
ENTRYPOINT ["paas"]
CMD ["serve", "app"]

# The front, which visitors meet. It needs only the binary and certificates.
FROM scratch AS front
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out /front /
ENV PAAS_ROOT=/paas HOME=/paas PATH=/usr/local/bin
USER 1000:1000
ENTRYPOINT ["paas"]
CMD ["serve", "front"]

# The sidecar, which follows remote repositories. It needs only the binary and certificates.
FROM scratch AS sidecar
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out /sidecar /
ENV PAAS_ROOT=/paas HOME=/paas PATH=/usr/local/bin
USER 1000:1000
ENTRYPOINT ["paas"]
CMD ["serve", "sidecar"]
