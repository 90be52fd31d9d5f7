//! Everything that has to be set up, built and tested, and nothing has to be done by hand.
//!
//! Written with few dependencies, so that it starts soon on a fresh machine.

mod command;
mod gallery;
mod performance;
mod setup;
mod workflows;

use anyhow::bail;
use command::{Step, root};
use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  setup          install what is missing: Debian or Ubuntu packages, bpf-linker
  bench [ARGS]   set up, build everything, and run `bench per-datapath ARGS` as root; or another command of
                 `bench`, if ARGS begin with one: `cargo xtask bench flow-setup --profile smoke`
  test [ARGS]    set up and run every test, the privileged ones included (ARGS go to nextest)
  docker-test [--profile NAME] [DATAPATHS]
                 set up with Docker, and run topologies in containers, as `test` does with two datapaths;
                 the runs and their reports stay in target/tmp/docker-test
  docker-test --from-source
                 have compose build its image where no registry can be reached, which compiles for long
  docker-base    make the image `mizar-bench-base` by debootstrap, to build on and compile in where no registry can be
                 reached; README.md, \"In containers\"
  perf-report BASE [ARGS]
                 measure the commit BASE and what is here in turns, and say what became slower (ARGS go to
                 `bench per-datapath`)
  gallery [--pages] [NAMES]
                 make the runs in results/ anew, all or those of these names, and QUESTIONS.md from them; or only
                 write their pages anew
  check          formatting, dependencies, lints and documentation, without warnings
  build          set up and build everything
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let result = match command.as_str() {
        "setup" => setup::all(),
        "bench" => bench(&rest),
        "test" => test(&rest),
        "docker-test" => docker_test(&rest),
        "docker-base" => docker_base(),
        "perf-report" => performance::report(&rest),
        "gallery" => refresh_gallery(&rest),
        "check" => check(),
        "build" => build(),
        "" | "help" | "--help" | "-h" => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        other => Err(anyhow::anyhow!("there is no command `{other}`\n\n{HELP}")),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn build() -> anyhow::Result<ExitCode> {
    setup::all()?;
    build_dpdk_process()?;
    Step::cargo(["build", "--workspace"])
        .required_bpf()
        .of_commit(&root())
        .run()
}

/// The process that DPDK datapaths start; it is no dependency of anything.
fn build_dpdk_process() -> anyhow::Result<()> {
    Step::dpdk_cargo(["build", "--locked"])?.expect("building the DPDK process")
}

fn bench(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let program = match built_bench()? {
        Ok(program) => program,
        Err(failed) => return Ok(failed),
    };
    // Another command of the program comes first if it is named.
    let is_named = arguments.first().is_some_and(|word| !word.starts_with('-'));
    let command = if is_named { None } else { Some("per-datapath") };
    Step::as_root(&program).args(command).args(arguments).run()
}

fn refresh_gallery(names: &[String]) -> anyhow::Result<ExitCode> {
    match built_bench()? {
        Ok(program) => gallery::refresh(names, &program),
        Err(failed) => Ok(failed),
    }
}

/// Sets up what measuring needs and builds `bench`; where it is, or how its build failed.
fn built_bench() -> anyhow::Result<Result<PathBuf, ExitCode>> {
    Step::check_root()?;
    setup::for_bench()?;
    if let Err(error) = setup::dpdk().and_then(|()| build_dpdk_process()) {
        eprintln!(
            "xtask: WITHOUT DPDK, and so without mizar-dpdk, mizar-capsule and the tester of vhost-user ports: {error:#}"
        );
    }
    let built = Step::cargo(["build", "--package", "harness"])
        .required_bpf()
        .of_commit(&root())
        .run()?;
    if built != ExitCode::SUCCESS {
        return Ok(Err(built));
    }
    let program = command::target_dir()?.join("debug/bench");
    if !program.is_file() {
        bail!("{} is not there after building it", program.display());
    }
    Ok(Ok(program))
}

fn test(arguments: &[String]) -> anyhow::Result<ExitCode> {
    Step::check_root()?;
    setup::all()?;
    let documented = Step::cargo(["test", "--workspace", "--doc", "--quiet"])
        .required_bpf()
        .run()?;
    if documented != ExitCode::SUCCESS {
        return Ok(documented);
    }
    build_dpdk_process()?;
    let process = Step::dpdk_cargo([
        "nextest",
        "run",
        "--locked",
        "--workspace",
        "--no-fail-fast",
    ])?
    .tests_as_root()
    .run()?;
    if process != ExitCode::SUCCESS {
        return Ok(process);
    }
    if let Err(error) = setup::docker() {
        eprintln!("xtask: WITHOUT DOCKER, and so without the test of containers: {error:#}");
    }
    if let Err(error) = setup::browser() {
        eprintln!(
            "xtask: WITHOUT A BROWSER, and so without the tests that look at reports: {error:#}"
        );
    }
    // The runner's closing lines are the last that is printed.
    Step::cargo(["nextest", "run", "--workspace", "--no-fail-fast"])
        .args(arguments)
        .required_bpf()
        .tests_as_root()
        .run()
}

/// Fails where containers cannot run: here they were asked for.
fn docker_test(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let is_from_source = arguments == ["--from-source"];
    let arguments = if is_from_source { &[] } else { arguments };
    let (profile, datapaths) = match arguments {
        [flag, profile, datapaths @ ..] if flag == "--profile" => (Some(profile), datapaths),
        datapaths => (None, datapaths),
    };
    if let Some(flag) = datapaths.iter().find(|word| word.starts_with('-')) {
        bail!(
            "`{flag}` is not known here; cargo xtask docker-test [--profile NAME] [DATAPATHS], or --from-source alone"
        );
    }
    Step::check_root()?;
    setup::for_bench()?;
    setup::nextest()?;
    setup::docker()?;
    let mut step = Step::cargo(["nextest", "run", "--package", "harness"]).args([
        "--run-ignored",
        "all",
        "--no-capture",
        "--filterset",
    ]);
    step = if is_from_source {
        step.args(["binary(docker) & test(from_source)"])
            .env("BENCH_DOCKER_FROM_SOURCE", "yes")
    } else {
        step.args(["binary(docker) - test(from_source)"])
    };
    if !datapaths.is_empty() {
        step = step.env("BENCH_DOCKER_DATAPATHS", &datapaths.join(","));
    }
    if let Some(profile) = profile {
        step = step.env("BENCH_DOCKER_PROFILE", profile);
    }
    step.required_bpf().tests_as_root().run()
}

/// An image to build on where no registry can be reached.
fn docker_base() -> anyhow::Result<ExitCode> {
    const IMAGE: &str = "mizar-bench-base";
    Step::check_root()?;
    setup::docker()?;
    let scratch = command::target_dir()?.join("tmp");
    std::fs::create_dir_all(&scratch)?;
    let archive = scratch.join(format!("base-{}.tar", setup::release()?));
    let make = Step::as_root(root().join("docker/base")).args([IMAGE]);
    let made = make.args([archive]).run()?;
    if made == ExitCode::SUCCESS {
        println!(
            "{IMAGE} is there: BENCH_BASE={IMAGE} BENCH_RUST={IMAGE} docker compose -f docker/compose.yaml build"
        );
    }
    Ok(made)
}

fn check() -> anyhow::Result<ExitCode> {
    setup::all()?;
    setup::deny()?;
    let (bpf, fuzz) = (root().join("bpf"), root().join("fuzz"));
    for step in [
        Step::dpdk_cargo(["fmt", "--all", "--check"])?,
        Step::dpdk_cargo([
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ])?,
        Step::dpdk_cargo(["deny", "check", "licenses", "bans", "sources"])?,
        Step::cargo(["fmt", "--all", "--check"]),
        Step::cargo(["fmt", "--all", "--check"]).within(&bpf),
        Step::cargo(["fmt", "--all", "--check"]).within(&fuzz),
        Step::cargo(["deny", "check", "licenses", "bans", "sources"]),
        Step::cargo([
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ])
        .required_bpf(),
        Step::cargo(["doc", "--workspace", "--no-deps"])
            .required_bpf()
            .deny_doc_warnings(),
    ] {
        let code = step.run()?;
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
    }
    let code = workflows::check()?;
    if code != ExitCode::SUCCESS {
        return Ok(code);
    }
    advisories()
}

/// Holds dependencies against what is known of them, where the database can be had.
fn advisories() -> anyhow::Result<ExitCode> {
    if Step::cargo(["deny", "fetch", "db"]).output().is_none() {
        eprintln!(
            "xtask: SKIPPED: advisories on dependencies: their database cannot be had here; where there is a network: \
             cargo deny check advisories, here and in dpdk/process"
        );
        return Ok(ExitCode::SUCCESS);
    }
    for step in [
        Step::cargo(["deny", "check", "advisories"]),
        Step::dpdk_cargo(["deny", "check", "advisories"])?,
    ] {
        let code = step.run()?;
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
    }
    Ok(ExitCode::SUCCESS)
}
