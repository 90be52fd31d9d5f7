//! What a machine needs, and how to provide it. What is there already is left alone.

use crate::command::Step;
use anyhow::{Context, bail};
use bpf_build::Toolchain;
use std::process::ExitCode;

/// The version of LLVM that Debian's compiler for BPF is built with, and bpf-linker must link.
const LLVM: &str = "22";
/// The version of bpf-linker that links that LLVM.
const BPF_LINKER: &str = "0.13.0";
/// The version of the test runner.
const NEXTEST: &str = "0.9.143";
/// The version of cargo-deny.
const DENY: &str = "0.20.2";

/// Sets up everything.
pub fn all() -> anyhow::Result<ExitCode> {
    for_bench()?;
    dpdk()?;
    nextest()?;
    Ok(ExitCode::SUCCESS)
}

/// Sets up what measuring needs, but for DPDK, which a machine may not have.
pub fn for_bench() -> anyhow::Result<()> {
    compiler()?;
    bpf_toolchain()?;
    // The bench starts an Open vSwitch of its own from them.
    packages(&["openvswitch-switch", "openvswitch-switch-dpdk"])
}

/// DPDK, and what binds it.
pub fn dpdk() -> anyhow::Result<()> {
    packages(&["libdpdk-dev", "libnuma-dev", "libclang-dev", "pkg-config"])
}

/// Docker with compose, and what makes a base for its images where no registry can be reached.
pub fn docker() -> anyhow::Result<()> {
    // Also beside a Docker that is there already.
    packages(&["debootstrap"])?;
    let works = |program: &str, arguments: &[&str]| {
        let step = Step::new(program).args(arguments);
        step.output().is_some()
    };
    let composes =
        works("docker", &["compose", "version"]) || works("docker-compose", &["version"]);
    if works("docker", &["--version"]) && composes {
        return Ok(());
    }
    packages(&["docker.io", "docker-compose", "iptables"])
}

/// The release of this machine's Debian or Ubuntu.
pub fn release() -> anyhow::Result<String> {
    let text = std::fs::read_to_string("/etc/os-release").context("reading /etc/os-release")?;
    let mut lines = text.lines();
    let name = lines.find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let name = name.context("/etc/os-release does not say which Debian or Ubuntu this is")?;
    Ok(name.trim_matches('"').to_owned())
}

/// A browser that tests look at reports with.
pub fn browser() -> anyhow::Result<()> {
    if Step::new("chromium").args(["--version"]).output().is_some() {
        return Ok(());
    }
    packages(&["chromium"])
}

/// A C compiler, which links Rust programs.
fn compiler() -> anyhow::Result<()> {
    if Step::new("cc").args(["--version"]).output().is_some() {
        return Ok(());
    }
    packages(&["gcc", "libc6-dev"])
}

fn bpf_toolchain() -> anyhow::Result<()> {
    if Toolchain::find().is_ok() {
        return Ok(());
    }
    let of_debian = Step::new("apt-cache").args(["show", "rustc-web"]);
    if !has_nightly_sources() && of_debian.output().is_none() {
        // Neither here nor to be had from the distribution.
        Step::new("rustup")
            .args(["toolchain", "install", "nightly", "--profile", "minimal"])
            .args(["--component", "rust-src"])
            .expect("installing a compiler for BPF")?;
    }
    if has_nightly_sources() {
        // Without features it downloads an LLVM of its own, made for rustup's compilers.
        install("bpf-linker", &["--version", BPF_LINKER, "--locked"], &[])?;
    } else {
        packages(&[
            "rustc-web",
            "libstd-rust-web-dev-bpf",
            &format!("llvm-{LLVM}-dev"),
            &format!("libpolly-{LLVM}-dev"),
            "g++",
            "libzstd-dev",
            "zlib1g-dev",
        ])?;
        let feature = format!("llvm-{LLVM}");
        let prefix = format!("/usr/lib/llvm-{LLVM}");
        install(
            "bpf-linker",
            &[
                "--version",
                BPF_LINKER,
                "--locked",
                "--no-default-features",
                "--features",
                &feature,
            ],
            &[("LLVM_PREFIX", &prefix)],
        )?;
    }
    match Toolchain::find() {
        Ok(_) => Ok(()),
        Err(missing) => bail!("the BPF toolchain is still incomplete: {missing}"),
    }
}

/// Whether rustup has a nightly compiler with the sources of `core`, which is compiled for BPF.
fn has_nightly_sources() -> bool {
    let sysroot = Step::new("rustup").args(["run", "nightly", "rustc", "--print", "sysroot"]);
    sysroot.output().is_some_and(|sysroot| {
        let core = std::path::Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core");
        core.is_dir()
    })
}

/// What runs tests.
pub fn nextest() -> anyhow::Result<()> {
    if Step::cargo(["nextest", "--version"]).output().is_some() {
        return Ok(());
    }
    install("cargo-nextest", &["--version", NEXTEST, "--locked"], &[])
}

/// Sets up what judges dependencies.
pub fn deny() -> anyhow::Result<()> {
    if Step::cargo(["deny", "--version"]).output().is_some() {
        return Ok(());
    }
    install("cargo-deny", &["--version", DENY, "--locked"], &[])
}

fn install(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<()> {
    eprintln!("xtask: installing {name} (once, some minutes)");
    let mut step = Step::cargo(["install", name]).args(arguments);
    for (name, value) in environment {
        step = step.env(name, value);
    }
    step.expect(&format!("installing {name}"))
}

/// Runs its arguments while packages start no services: what is installed here is for this project's own
/// processes. `policy-rc.d` is Debian's way to say so (invoke-rc.d(8)).
const WITHOUT_SERVICES: &str = r#"
policy=/usr/sbin/policy-rc.d
if [ -e "$policy" ]; then exec "$@"; fi
trap 'rm -f "$policy"' EXIT
printf '#!/bin/sh\nexit 101\n' > "$policy"
chmod 755 "$policy"
"$@"
"#;

/// Installs those of these Debian or Ubuntu packages that are missing.
pub fn packages(names: &[&str]) -> anyhow::Result<()> {
    let missing: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| !is_installed(name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if Step::new("apt-get").args(["--version"]).output().is_none() {
        bail!("this machine has no apt-get; please install what corresponds to: {list}");
    }
    eprintln!("xtask: installing {list}");
    // Through `env`, since sudo hands no variables on.
    let apt = |arguments: &[&str]| {
        Step::as_root("env")
            .args([
                "DEBIAN_FRONTEND=noninteractive",
                "sh",
                "-c",
                WITHOUT_SERVICES,
            ])
            // A machine that was just set up installs its updates by itself, and holds the lock meanwhile.
            .args(["sh", "apt-get", "-o", "DPkg::Lock::Timeout=600"])
            .args(arguments)
    };
    apt(&["update", "--quiet"]).expect("updating the list of packages")?;
    apt(&["install", "--yes", "--quiet", "--no-install-recommends"])
        .args(&missing)
        .expect("installing packages")
        .with_context(|| format!("try by hand: apt-get install {list}"))
}

fn is_installed(package: &str) -> bool {
    Step::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}", package])
        .output()
        .is_some_and(|status| status.trim() == "installed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_compiled_with_the_same_versions() {
        let compiler = include_str!("../../docker/compiler");
        for line in [format!("llvm={LLVM}"), format!("linker={BPF_LINKER}")] {
            assert!(compiler.lines().any(|it| it == line), "{line}");
        }
    }
}
