# `rework` in a small image: monitor, worker and command line are one program.

FROM rust:1-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN cargo build --release --locked --package rework-cli

FROM debian:bookworm-slim
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin rework
COPY --from=build /source/target/release/rework /usr/local/bin/rework
# A number, because Kubernetes cannot check `runAsNonRoot` for a name.
USER 10001
WORKDIR /home/rework
ENTRYPOINT ["rework"]
CMD ["monitor"]
