// SPDX-License-Identifier: GPL-2.0

//! The socket that requests come from.

use super::{run, Stage};
use serde_json::{json, Value};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// Listens at `path` and answers requests, one client after the other and each in a
/// thread, as long as the process lives.
///
/// # Errors
///
/// If the socket cannot be made.
pub fn serve(path: &Path, stage: Stage) -> io::Result<()> {
    let listener = UnixListener::bind(path)?;
    std::thread::Builder::new()
        .name("script".into())
        .spawn(move || {
            for stream in listener.incoming().flatten() {
                let stage = stage.clone();
                std::thread::spawn(move || {
                    // A client that is gone is nobody's mistake.
                    let _ = talk(&stream, &stage);
                });
            }
        })?;
    Ok(())
}

fn talk(stream: &UnixStream, stage: &Stage) -> io::Result<()> {
    let mut to = stream;
    for line in BufReader::new(stream).lines() {
        let mut answer = answer(&line?, stage).to_string();
        answer.push('\n');
        to.write_all(answer.as_bytes())?;
    }
    Ok(())
}

/// The answer to one line.
pub(super) fn answer(line: &str, stage: &Stage) -> Value {
    let request = serde_json::from_str(line).map_err(|error| error.to_string());
    match request.and_then(|request| run(request, stage)) {
        Ok(value) => json!({ "value": value }),
        Err(error) => json!({ "error": error }),
    }
}
