//! The two toolchains that build BPF programs.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A compiler that makes BPF, and how to use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Toolchain {
    /// A distribution's compiler with a prebuilt `core` for BPF (Debian's `libstd-rust-web-dev-bpf`).
    Distribution {
        /// The compiler.
        rustc: PathBuf,
    },
    /// rustup's nightly with `rust-src`, which builds `core` itself.
    Nightly,
}

impl Toolchain {
    /// The toolchain of this machine.
    ///
    /// # Errors
    /// What is missing, in words.
    pub fn find() -> Result<Self, String> {
        if !linker().is_file() && find_in_path("bpf-linker").is_none() {
            return Err("bpf-linker is not installed (cargo xtask bench installs it)".to_owned());
        }
        let rustc = PathBuf::from("/usr/bin/rustc");
        if let Some(sysroot) = sysroot(Command::new(&rustc))
            && sysroot.join("lib/rustlib").join(super::TARGET).is_dir()
        {
            return Ok(Self::Distribution { rustc });
        }
        let mut nightly = Command::new("rustup");
        nightly.args(["run", "nightly", "rustc"]);
        if let Some(sysroot) = sysroot(nightly)
            && sysroot.join("lib/rustlib/src/rust/library/core").is_dir()
        {
            return Ok(Self::Nightly);
        }
        Err(
            "no Rust compiler for BPF (cargo xtask bench installs one; rustup's nightly with \
             rust-src serves as well)"
                .to_owned(),
        )
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Distribution { .. } => "the distribution's compiler for BPF",
            Self::Nightly => "rustup's nightly",
        }
    }

    /// Sets up `cargo` to build for BPF.
    pub(crate) fn configure(&self, cargo: &mut Command) {
        // Variables of the outer build are meant for another target and compiler.
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy();
            if name_text.starts_with("CARGO_") && name_text != "CARGO_HOME"
                || name_text.starts_with("RUSTFLAGS")
                || name_text == "RUSTC_WRAPPER"
                || name_text == "RUSTC_WORKSPACE_WRAPPER"
                || name_text == "RUSTC_LINKER"
            {
                cargo.env_remove(name);
            }
        }
        let linker = if linker().is_file() {
            linker()
        } else {
            PathBuf::from("bpf-linker")
        };
        cargo.env(
            "RUSTFLAGS",
            format!(
                "-C linker={} -C link-arg=--btf -C debuginfo=2 -C panic=abort",
                linker.display()
            ),
        );
        match self {
            Self::Distribution { rustc } => {
                cargo.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
                cargo.env_remove("RUSTUP_TOOLCHAIN").env_remove("RUSTDOC");
            }
            Self::Nightly => {
                cargo.env("RUSTUP_TOOLCHAIN", "nightly").env_remove("RUSTC");
                cargo.args(["-Z", "build-std=core"]);
            }
        }
    }
}

/// Where `cargo install` puts programs.
pub(crate) fn cargo_bin() -> PathBuf {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let fallback =
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".cargo");
    home.unwrap_or_else(fallback).join("bin")
}

fn linker() -> PathBuf {
    cargo_bin().join("bpf-linker")
}

fn find_in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|entry| entry.join(program))
        .find(|file| file.is_file())
}

fn sysroot(mut rustc: Command) -> Option<PathBuf> {
    let output = rustc
        .args(["--print", "sysroot"])
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("RUSTC")
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(Path::new(String::from_utf8(output.stdout).ok()?.trim()).to_owned())
}
