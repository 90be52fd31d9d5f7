//! The program as its user meets it: exit codes, messages with a remedy, files that are there.

#![expect(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(arguments)
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn run_reference(folder: &Path, more: &[&str]) -> Output {
    let mut arguments = vec![
        "per-datapath",
        "--profile",
        "smoke",
        "--datapath",
        "reference",
        "--out",
    ];
    arguments.push(folder.to_str().unwrap());
    arguments.extend(more);
    bench(&arguments)
}

#[test]
fn wrong_inputs_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (
            &["per-datapath", "--datapath", "nope"][..],
            "expected one of: reference, kernel-xdp",
        ),
        (
            &["per-datapath", "--topology", "nope"],
            "neither built in (encap, decap",
        ),
        (
            &["verify", "--topology", "encap", "--topology", "nope"],
            "neither built in (encap, decap",
        ),
        (&["per-datapath", "--frame-size", "40"], "64 to 1518"),
        (&["per-datapath", "--flows", "0"], "expected 1 to 1000000"),
        (
            &["per-datapath", "--endpoints", "70000"],
            "expected 1 to 65537",
        ),
        (
            &[
                "per-datapath",
                "--topology",
                "bounce",
                "--endpoints",
                "60000",
            ],
            "give less for --endpoints, or --direct-path off",
        ),
        (
            &[
                "per-datapath",
                "--topology",
                "fan",
                "--hosts",
                "128",
                "--bouncers",
                "128",
            ],
            "an underlay joins 512 at most",
        ),
        (
            &["verify", "--vectors", "/nonexistent.json"],
            "/nonexistent.json",
        ),
        (&["report", "/nonexistent"], "/nonexistent"),
        (
            &["per-datapath", "--topology", "encap", "--droplets", "/tmp"],
            "encap: not with --droplets, since one droplet is under test there",
        ),
        (
            &["droplet", "--name", "left", "--meeting", "/nonexistent"],
            "expected a folder that the tester and all droplets have",
        ),
        (&["compose", "encap"], "one droplet under test"),
        (
            &["trend", ".", "--since", "yesterday"],
            "expected a day such as",
        ),
    ] {
        // What is taken for right by mistake measures, into a folder of where it is started.
        let output = Command::new(env!("CARGO_BIN_EXE_bench"))
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            stderr(&output).contains(expected),
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn a_cause_is_said_once() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong.json");
    std::fs::write(&wrong, "{\"x\": 1}").unwrap();
    let (folder, wrong) = (folder.path().to_str().unwrap(), wrong.to_str().unwrap());
    for (arguments, cause) in [
        (["verify", "--vectors", "/nonexistent"], "os error"),
        (["verify", "--vectors", folder], "os error"),
        (["verify", "--vectors", wrong], "missing field"),
        (["per-datapath", "--topology", folder], "os error"),
    ] {
        let said = stderr(&bench(&arguments));
        assert_eq!(said.matches(cause).count(), 1, "{said}");
    }
}

#[test]
fn a_folder_that_is_taken_wants_another_and_not_space() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["run.json", "flow-setup.jsonl"] {
        std::fs::write(folder.path().join(file), "").unwrap();
    }
    let out = folder.path().to_str().unwrap();
    for command in ["per-datapath", "flow-setup"] {
        let arguments = [
            "--profile",
            "smoke",
            "--datapath",
            "reference",
            "--out",
            out,
        ];
        let output = bench(&[&[command], &arguments[..]].concat());
        assert_eq!(output.status.code(), Some(2));
        let said = stderr(&output);
        assert!(said.contains("Choose a new folder with --out"), "{said}");
        assert!(!said.contains("space"), "{said}");
        assert_eq!(said.matches("os error").count(), 1, "{said}");
    }
}

#[test]
fn what_is_no_run_is_answered_by_the_runs_there_are_or_how_to_make_one() {
    let folder = tempfile::tempdir().unwrap();
    let report = |run: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_bench"))
            .args(["report", run])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        stderr(&output)
    };
    let said = report("/nothing");
    assert!(
        said.contains("no run in /nothing") && said.contains("per-datapath"),
        "{said}"
    );
    for (run, file) in [("a", "run.json"), ("b", "flow-setup.jsonl"), ("c", "else")] {
        let run = folder.path().join("results").join(run);
        std::fs::create_dir_all(&run).unwrap();
        std::fs::write(run.join(file), "").unwrap();
    }
    for nothing in ["/nothing", "results", "results/c", "results/a/run.json"] {
        let said = report(nothing);
        assert!(
            said.trim_end().ends_with(": results/b, results/a"),
            "{said}"
        );
    }
}

#[test]
fn a_wrong_topology_is_named_with_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.toml");
    std::fs::write(&file, "description = \"x\"\n[[droplets]]\nname = 7\n").unwrap();
    let output = bench(&["per-datapath", "--topology", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("wrong.toml:3:"),
        "{}",
        stderr(&output)
    );
}

/// The first command of the README, in the shortest profile, with the datapath that it measures everywhere.
#[test]
fn the_first_command_of_the_readme_ends_well() {
    let folder = tempfile::tempdir().unwrap();
    let output = run_reference(&folder.path().join("run"), &[]);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{printed}{}",
        stderr(&output)
    );
    for topology in ["encap", "decap", "vtep", "hop", "divide"] {
        assert!(printed.contains(topology), "{topology}: {printed}");
    }
}

#[test]
fn a_run_leaves_records_and_reports_and_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let output = run_reference(&run, &["--topology", "encap", "--seed", "5", "-v"]);
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(
        told.contains("trials take") && told.contains("INFO"),
        "{told}"
    );
    assert!(!told.contains('\x1b'), "colours for a file: {told:?}");
    for file in ["run.json", "trials.jsonl", "report.html", "report.md"] {
        assert!(run.join(file).is_file(), "{file}");
    }
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        printed.contains("reference") && printed.contains("report.html"),
        "{printed}"
    );

    let again = run_reference(&run, &["--topology", "encap"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("--out"), "{}", stderr(&again));

    let report = bench(&["report", run.to_str().unwrap(), "--format", "json"]);
    assert_eq!(report.status.code(), Some(0));
    let json: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    assert!(json.is_object());
}

/// The program started by a user without privileges, in a folder of that user's.
fn as_ordinary_user(arguments: &[&str]) -> Output {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65_534;
    let folder = tempfile::tempdir().unwrap();
    let everyone = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(folder.path(), everyone).unwrap();
    // Where it was built, other users may not look.
    let program = folder.path().join("bench");
    std::fs::copy(env!("CARGO_BIN_EXE_bench"), &program).unwrap();
    let mut command = Command::new(&program);
    command.args(arguments).current_dir(folder.path());
    // SAFETY: has no preconditions.
    if unsafe { libc::geteuid() } == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.output().unwrap()
}

#[test]
fn an_ordinary_user_gets_figures_of_the_reference_and_advice_for_the_rest() {
    let smoke = ["per-datapath", "--profile", "smoke", "--topology", "encap"];
    let output = as_ordinary_user(&smoke);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(printed.contains("reference"), "{printed}");
    let words: String = printed.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("kernel-xdp") && words.contains("cargo xtask bench"),
        "{printed}"
    );

    let required = [&smoke[..], &["--require", "kernel-xdp"]].concat();
    let output = as_ordinary_user(&required);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("kernel-xdp"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn verify_counts_and_fails_on_a_wrong_vector() {
    let output = bench(&["verify", "--datapath", "reference"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        printed.trim_end().ends_with(" passed, 0 failed, 0 skipped"),
        "{printed}"
    );

    // The first vector's outer TTL, changed from 64 to 63.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vectors.json");
    let mut vectors: serde_json::Value =
        serde_json::from_str(topologies::vectors::BUILT_IN).unwrap();
    let output = vectors["vectors"][0]["steps"][0]["output"]
        .as_str()
        .unwrap()
        .to_owned();
    let ttl = 2 * (14 + 8);
    assert_eq!(&output[ttl..ttl + 2], "40");
    let changed = format!("{}3f{}", &output[..ttl], &output[ttl + 2..]);
    vectors["vectors"][0]["steps"][0]["output"] = changed.into();
    std::fs::write(&file, vectors.to_string()).unwrap();
    let output = bench(&[
        "verify",
        "--datapath",
        "reference",
        "--vectors",
        file.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(1));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(printed.contains("outer ipv4 ttl"), "{printed}");
    assert!(
        printed
            .trim_end()
            .ends_with("83 passed, 1 failed, 0 skipped"),
        "{printed}"
    );
}

#[test]
fn verify_keeps_to_the_topologies_that_are_named() {
    let passed = |more: &[&str]| {
        let arguments = ["verify", "--datapath", "reference", "--format", "json"];
        let output = bench(&[&arguments, more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        json[0]["passed"].as_u64().unwrap()
    };
    let encap = passed(&["--topology", "encap"]);
    let hop = passed(&["--topology", "hop"]);
    let both = passed(&["--topology", "encap", "--topology", "hop"]);
    assert_eq!(both, encap + hop);
    assert!(passed(&[]) > both);
}

#[test]
fn lists_and_diagnoses_in_both_formats() {
    for command in ["list", "doctor"] {
        let text = bench(&[command]);
        assert_eq!(text.status.code(), Some(0));
        assert!(String::from_utf8_lossy(&text.stdout).contains("kernel-xdp"));
        let json = bench(&[command, "--format", "json"]);
        let value: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        assert!(value.to_string().contains("kernel-xdp"));
    }
    let script = bench(&["completions", "bash"]);
    assert!(String::from_utf8_lossy(&script.stdout).contains("per-datapath"));
}

#[test]
fn a_full_disk_keeps_earlier_trials_and_says_what_to_do() {
    // /dev/full refuses every write; a folder whose trials.jsonl is that device is a full disk.
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.path().join("trials.jsonl")).unwrap();
    let output = run_reference(folder.path(), &["--topology", "encap"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("Free some space"),
        "{}",
        stderr(&output)
    );
    assert!(folder.path().join("run.json").is_file());
}
