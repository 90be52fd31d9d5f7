//! Images: of the program that this test was built with, of one that is compiled for it, and what both are made from.

use super::daemon::{Daemon, finished};
use super::workspace;
use anyhow::Context;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The image that is tested, and its base where no registry can be reached.
pub const IMAGE: &str = "mizar-bench-test";
const BASE: &str = "mizar-bench-test-base";

/// Builds the image with the program that this test was built with.
pub fn of_this_program(daemon: &Daemon, scratch: &Path) -> anyhow::Result<()> {
    let base = base(daemon, scratch)?;
    let context = TempDir::with_prefix("bench-image-")?;
    let program = context.path().join("bench");
    std::fs::copy(env!("CARGO_BIN_EXE_bench"), program)?;
    let mut build = daemon.command("docker");
    build
        // What is installed comes by the machine's own network.
        .args(["build", "--network", "host", "--tag", IMAGE])
        .args(["--build-arg", &format!("RUST={base}")])
        .args(["--build-arg", &format!("BASE={base}"), "--file"])
        .arg(workspace().join("docker/Dockerfile"))
        .arg(context.path());
    finished(build.output()?).context("building the image")?;
    Ok(())
}

/// Has compose build it from the sources, on a base that no registry has, and compile in the same.
pub fn from_source(daemon: &Daemon, scratch: &Path) -> anyhow::Result<()> {
    debootstrapped(daemon, scratch)?;
    let mut build = daemon.compose(&workspace().join("docker/compose.yaml"))?;
    build
        .args(["build", "tester"])
        .env("BENCH_IMAGE", IMAGE)
        .env("BENCH_BASE", BASE)
        .env("BENCH_RUST", BASE);
    finished(build.output()?).context("building from source")?;
    Ok(())
}

/// Removes what was built.
pub fn remove(daemon: &Daemon) {
    let _ = daemon.docker(&["image", "rm", "--force", IMAGE, BASE]);
}

/// A base of this machine's own release, whose libraries the program was linked with.
fn base(daemon: &Daemon, scratch: &Path) -> anyhow::Result<String> {
    let [id, codename] = release()?;
    let public = match id.as_str() {
        "debian" => format!("debian:{codename}-slim"),
        _ => format!("{id}:{codename}"),
    };
    // It was not to be had before.
    let is_offline = archive(scratch, &codename).is_file();
    if daemon.docker(&["image", "inspect", &public]).is_ok()
        || (!is_offline && daemon.docker(&["pull", &public]).is_ok())
    {
        return Ok(public);
    }
    if !is_offline {
        println!("no registry has {public}: debootstrap makes a base, once");
    }
    debootstrapped(daemon, scratch)?;
    Ok(BASE.to_owned())
}

fn debootstrapped(daemon: &Daemon, scratch: &Path) -> anyhow::Result<()> {
    let [_, codename] = release()?;
    let mut make = daemon.command(&workspace().join("docker/base").to_string_lossy());
    make.arg(BASE).arg(archive(scratch, &codename));
    finished(make.output()?).context("making a base")?;
    Ok(())
}

/// The same as that of `cargo xtask docker-base`.
fn archive(scratch: &Path, codename: &str) -> PathBuf {
    scratch.join(format!("base-{codename}.tar"))
}

/// The distribution and its release.
fn release() -> anyhow::Result<[String; 2]> {
    let text = std::fs::read_to_string("/etc/os-release")?;
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        let value = value.map(|value| value.trim_matches('"').to_owned());
        value.context("os-release does not say which Debian or Ubuntu this is")
    };
    Ok([field("ID=")?, field("VERSION_CODENAME=")?])
}
