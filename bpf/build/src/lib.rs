//! For build scripts: builds a program of the workspace `bpf/`, if a BPF toolchain is there.
//!
//! The object is embedded in the program that loads it, so that the two are always of one source. Where
//! no toolchain is found, or it fails, the build goes on without the object; the loader then says which
//! command provides it. `MIZAR_BPF=required` turns that into an error, which is what `cargo xtask` sets.

mod toolchain;

pub use toolchain::Toolchain;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The target of every BPF program here.
const TARGET: &str = "bpfel-unknown-none";

/// Builds `program` and tells the crate where the object is: the environment variable `BPF_OBJECT` holds
/// its path and the configuration `bpf` is set, if there is one.
///
/// # Panics
/// If the program cannot be built and `MIZAR_BPF` is `required`; a build script has no other way out.
pub fn build(program: &str) {
    build_all(&[(program, "BPF_OBJECT")]);
}

/// Builds several programs, each with the environment variable that is to hold its path; `bpf` is set if all could be built.
///
/// # Panics
/// As [`build`].
pub fn build_all(programs: &[(&str, &str)]) {
    println!("cargo::rustc-check-cfg=cfg(bpf)");
    println!("cargo::rerun-if-env-changed=MIZAR_BPF");
    for directory in [
        "bpf",
        "datapaths/wire/src",
        "datapaths/core/src",
        "datapaths/megaflow/src",
        "harness/workload/src",
    ] {
        println!(
            "cargo::rerun-if-changed={}",
            root().join(directory).display()
        );
    }
    // Where bpf-linker appears once it is installed.
    println!(
        "cargo::rerun-if-changed={}",
        toolchain::cargo_bin().display()
    );
    for (program, variable) in programs {
        match try_build(program) {
            Ok(object) => println!("cargo::rustc-env={variable}={}", object.display()),
            Err(why) => {
                let required = std::env::var("MIZAR_BPF").is_ok_and(|value| value == "required");
                assert!(!required, "cannot build the BPF program {program}: {why}");
                println!("cargo::warning=built without the BPF program {program}: {why}");
                return;
            }
        }
    }
    println!("cargo::rustc-cfg=bpf");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .components()
        .collect()
}

fn try_build(program: &str) -> Result<PathBuf, String> {
    let toolchain = Toolchain::find()?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let target_dir = shared(&out);
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(root().join("bpf"))
        .args([
            "build",
            "--release",
            "--locked",
            "--quiet",
            "--package",
            program,
        ])
        .args(["--target", TARGET, "--target-dir"])
        .arg(&target_dir);
    toolchain.configure(&mut cargo);
    let output = cargo.output().map_err(|e| format!("running cargo: {e}"))?;
    if !output.status.success() {
        return Err(format!(
            "{} failed:\n{}",
            toolchain.name(),
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    // A crate's own: another may build anew in the shared folder while this one's compiler reads.
    let own = out.join(format!("{program}.bpf"));
    let built = target_dir.join(TARGET).join("release").join(program);
    std::fs::copy(&built, &own).map_err(|e| format!("copying {}: {e}", built.display()))?;
    Ok(own)
}

/// Where BPF programs are built: beside the `build` folder that cargo keeps the folders of all crates' build scripts in
/// (`build/<crate>-<hash>/out`). A crate has one for each set of features that it is built with, and a program that was built
/// for one is the same for all.
fn shared(out: &Path) -> PathBuf {
    let build = out.ancestors().nth(2);
    let build = build.filter(|it| it.file_name().is_some_and(|name| name == "build"));
    let parent = build.and_then(Path::parent).unwrap_or(out);
    parent.join("bpf")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_share_what_is_built() {
        let shared_by = |out: &str| shared(Path::new(out));
        let one = shared_by("/w/target/debug/build/harness-0123/out");
        assert_eq!(one, Path::new("/w/target/debug/bpf"));
        assert_eq!(one, shared_by("/w/target/debug/build/netdev-4567/out"));
        // Where cargo has its folders elsewhere one day, each has its own.
        assert_eq!(
            shared_by("/w/somewhere/out"),
            Path::new("/w/somewhere/out/bpf")
        );
    }
}
