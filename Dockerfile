# The operator's image: one static binary and the public CA certificates, nothing else.
#
#   docker build -t tokenturn .
#   docker buildx build --platform linux/amd64,linux/arm64 -t tokenturn .
#
# Each platform is built natively (or emulated): the Alpine image's own target is the static musl one, so the same lines
# give x86_64-unknown-linux-musl and aarch64-unknown-linux-musl without a cross compiler.

# The version of rust-toolchain.toml; a test compares the two.
FROM rust:1.95.0-alpine AS build

# ring compiles C and assembly, the allocator C.
RUN apk add --no-cache build-base ca-certificates

WORKDIR /src
# .dockerignore leaves out rust-toolchain.toml: it would make rustup fetch clippy and rustfmt for nothing.
COPY . .
# Kernels of arm64 have pages of 4, 16 or 64 KiB, and the allocator has to know the largest when it is built.
RUN case "$(uname -m)" in aarch64) export JEMALLOC_SYS_WITH_LG_PAGE=16 ;; esac; \
    cargo build --release --locked --bin tokenturn

# scratch, not a distroless base: the binary is static and needs no libc, shell, time zone or user database, so a base
# image would only add files to scan and to update.
FROM scratch

# For providers with public certificates. The API server's CA comes with the pod's token.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/target/release/tokenturn /tokenturn

# A number, so that runAsNonRoot can be checked without a user database.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/tokenturn"]
CMD ["run"]
