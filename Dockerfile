# syntax=docker/dockerfile:1
# A small image with one static binary, for ECS, Kubernetes and AWS Batch: docker build -t dynasplit .
# docs/install.md explains how to use it.

FROM rust:1.95-alpine AS build
# A C compiler for aws-lc-sys and for the embedded engine. The versions are those of the base image's release.
# hadolint ignore=DL3018
RUN apk add --no-cache build-base cmake linux-headers perl
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY tests/model/Cargo.toml ./tests/model/Cargo.toml
COPY src ./src
COPY benches ./benches
# On Alpine, the target is musl, and the binary is static. The symbols would be a quarter of it.
ENV CARGO_PROFILE_RELEASE_STRIP=symbols
RUN cargo build --release --locked --bin dynasplit

# Root certificates and a user without rights. No shell and no package manager.
FROM gcr.io/distroless/static-debian12:nonroot
LABEL org.opencontainers.image.title="dynasplit" \
      org.opencontainers.image.description="Splits a live DynamoDB table into one table per service." \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /build/target/release/dynasplit /usr/local/bin/dynasplit
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/dynasplit/
# `verify` writes its temporary files here. The root file system may be read-only. A volume that Fargate mounts here takes over the
# permissions of this directory, which all users may write.
VOLUME ["/tmp"]
# Mount the plan here, or copy it into an image of your own.
WORKDIR /plans
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/dynasplit"]
CMD ["--help"]
