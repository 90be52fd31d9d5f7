//! Running other programs.

use anyhow::Context;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// The workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
        .to_owned()
}

/// Where cargo builds.
pub fn target_dir() -> anyhow::Result<PathBuf> {
    Ok(match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => std::env::current_dir()?.join(directory),
        None => root().join("target"),
    })
}

/// Whether this process is root.
pub fn is_root() -> bool {
    // SAFETY: has no preconditions.
    unsafe { libc::geteuid() == 0 }
}

/// A program to run, with its output where this program's is.
pub struct Step(Command);

impl Step {
    /// A program by name.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.current_dir(root());
        Self(command)
    }

    /// cargo.
    pub fn cargo<const N: usize>(arguments: [&str; N]) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Self::new(cargo).args(arguments)
    }

    /// A program that needs root.
    pub fn as_root(program: impl AsRef<OsStr>) -> Self {
        if is_root() {
            return Self::new(program);
        }
        Self::new("sudo").args([OsStr::new("--"), program.as_ref()])
    }

    /// Fails if nothing can be run as root, before anything else is done.
    pub fn check_root() -> anyhow::Result<()> {
        anyhow::ensure!(
            is_root() || Self::new("sudo").args(["--version"]).output().is_some(),
            "this needs root: run it as root, or install sudo (`apt-get install sudo`)"
        );
        Ok(())
    }

    /// With these arguments too.
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.0.args(arguments);
        self
    }

    /// With this variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// In this folder.
    pub fn within(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    /// cargo in the workspace of the DPDK process, building where the others build.
    pub fn dpdk_cargo<const N: usize>(arguments: [&str; N]) -> anyhow::Result<Self> {
        let target = target_dir()?;
        let step = Self::cargo(arguments).within(&root().join("dpdk/process"));
        Ok(step.env("CARGO_TARGET_DIR", &target.to_string_lossy()))
    }

    /// Failing, instead of going on without them, if the BPF programs cannot be built.
    pub fn required_bpf(self) -> Self {
        self.env("MIZAR_BPF", "required")
    }

    /// Telling `bench` what commit is built, where `tree` is a checkout.
    pub fn of_commit(self, tree: &Path) -> Self {
        // Without tags: what `git show` finds, and the same whether they were fetched or not.
        let describe = [
            "describe",
            "--always",
            "--dirty",
            "--abbrev=12",
            "--exclude=*",
        ];
        let commit = Self::new("git").args(describe).within(tree).output();
        self.env("BENCH_COMMIT", commit.unwrap_or_default().trim())
    }

    /// With a warning of rustdoc being an error.
    pub fn deny_doc_warnings(self) -> Self {
        self.env("RUSTDOCFLAGS", "--deny warnings")
    }

    /// With test programs run as root.
    pub fn tests_as_root(self) -> Self {
        if is_root() {
            return self;
        }
        let host = format!(
            "{}_UNKNOWN_LINUX_GNU",
            std::env::consts::ARCH.to_uppercase()
        );
        self.env(
            &format!("CARGO_TARGET_{host}_RUNNER"),
            "sudo --preserve-env --",
        )
    }

    /// Runs it and hands its exit code on.
    pub fn run(mut self) -> anyhow::Result<ExitCode> {
        let program = self.0.get_program().to_string_lossy().into_owned();
        let status = self
            .0
            .status()
            .with_context(|| format!("running {program}"))?;
        let code = status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(1);
        Ok(ExitCode::from(code))
    }

    /// Runs it and fails if it does.
    pub fn expect(mut self, doing: &str) -> anyhow::Result<()> {
        let status = self.0.status().with_context(|| doing.to_owned())?;
        anyhow::ensure!(status.success(), "{doing}: {status}");
        Ok(())
    }

    /// What it prints, or nothing if it fails or is not there.
    pub fn output(mut self) -> Option<String> {
        let output = self.0.stderr(Stdio::null()).output().ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
