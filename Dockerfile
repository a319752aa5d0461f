# syntax=docker/dockerfile:1
# Three stages; `production` is the default target. Built for linux/amd64 whatever the laptop is:
#   docker buildx build --platform linux/amd64 --target production -t NAME .
# The binary is static and cross-compiled, so nothing native is made for the wrong machine.

# deps: the modules, cached as long as go.mod and go.sum stay the same.
FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS deps
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download

# build: one static binary.
FROM deps AS build
ARG VERSION=dev
COPY . .
RUN CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /weelo ./cmd/weelo

# production: no shell, no package manager, not root.
FROM gcr.io/distroless/static-debian12:nonroot AS production
COPY --from=build /weelo /weelo
USER nonroot:nonroot
EXPOSE 3000
ENV PORT=3000 APP_ENV=production
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["/weelo", "health"]
ENTRYPOINT ["/weelo"]
CMD ["serve"]
