# The worker as one static binary in an empty image.
#
#   docker build -t lockstep .
#   docker run --read-only --stop-timeout 15 -v lockstep:/data -v ./lockstep.toml:/etc/lockstep/lockstep.toml:ro \
#       -e DEFENDER_SECRET lockstep
#
# The store must be on a local disk. `path = "data"` in [store] is /data here; nothing else is ever written.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# Naming the target keeps the static flag away from build scripts and derive macros, which cannot be static.
RUN target="$(rustc -vV | sed -n 's/^host: //p')" \
    && RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --bin lockstep --target "$target" \
    && mkdir -p /image/data /image/etc/ssl/certs \
    && cp "target/$target/release/lockstep" /image/lockstep \
    && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/

FROM scratch
COPY --from=build /image/lockstep /lockstep
COPY --from=build /image/etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# A new volume takes over the owner of the folder it covers.
COPY --from=build --chown=65532:65532 /image/data /data

ENV LOCKSTEP_CONFIG=/etc/lockstep/lockstep.toml \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
WORKDIR /
VOLUME /data
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["/lockstep", "healthcheck"]
ENTRYPOINT ["/lockstep"]
CMD ["run"]
