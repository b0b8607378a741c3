//! Reads the HTTP endpoints of a monitor.

use std::io::{Read as _, Write as _};

use serde_json::Value;

use super::monitor::Monitor;

/// Returns the address of the endpoints of a monitor that was started with `--listen`. Panics if it has not written it.
#[track_caller]
pub(crate) fn address(monitor: &Monitor) -> String {
    let output = monitor.output();
    let address = output.split("http://").nth(1).and_then(|text| text.lines().next());
    address.unwrap_or_else(|| panic!("no address in\n{output}")).to_owned()
}

/// Sends a GET request. Returns the status and the JSON body, which is null if the body is not JSON.
pub(crate) fn get(address: &str, path: &str) -> (u16, Value) {
    try_get(address, path).unwrap_or_else(|error| panic!("http://{address}{path}: {error}"))
}

/// Does what [`get`] does. `Err` if nobody answers.
pub(crate) fn try_get(address: &str, path: &str) -> std::io::Result<(u16, Value)> {
    let mut stream = std::net::TcpStream::connect(address)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let no_answer = || std::io::Error::other(format!("not an answer: {response}"));
    let status = response.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = response.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status.ok_or_else(no_answer)?, serde_json::from_str(body).unwrap_or_default()))
}
