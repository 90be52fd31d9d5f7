//! The oracle does what Mizar did.

use std::path::Path;
use topologies::oracle::Oracle;
use topologies::vectors::{self, Expected, VectorsError};

#[test]
fn the_oracle_agrees_with_every_golden_vector() {
    let vectors = vectors::parse(vectors::BUILT_IN).unwrap();
    assert_eq!(vectors.len(), 84);
    let mut differences = Vec::new();
    for vector in vectors {
        let mut oracle = Oracle::new(&vector.provision);
        for (number, step) in vector.steps.iter().enumerate() {
            let outcome = oracle.inject(step.ingress, &step.input);
            if !step.expected.matches(&outcome) {
                differences.push(format!(
                    "{} step {number}:\n  expected {:02x?}\n  found    {:02x?} ({outcome:02x?})",
                    vector.name,
                    step.expected,
                    Expected::from(outcome.clone()),
                ));
            }
        }
        if oracle.direct_paths() != vector.direct_paths_after {
            differences.push(format!(
                "{}: direct paths\n  expected {:?}\n  found    {:?}",
                vector.name,
                vector.direct_paths_after,
                oracle.direct_paths()
            ));
        }
    }
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

/// The error about the built-in vectors with one place changed.
fn error(from: &str, to: &str) -> VectorsError {
    assert!(vectors::BUILT_IN.contains(from), "{from}");
    let text = vectors::BUILT_IN.replacen(from, to, 1);
    vectors::parse(&text).expect_err(to)
}

#[test]
fn errors_name_vector_and_field() {
    let first = "vector agent/udp-to-bouncer-0: ";
    for (from, to, expected) in [
        (
            "3665475",
            "3665475000",
            "agent.vni: virtual network identifier 3665475000 is above",
        ),
        (
            "\"02344aaa",
            "\"2344aaa",
            "steps[0].input: 417 hexadecimal digits: expected an even number",
        ),
        (
            "\"02344aaa",
            "\"0x344aaa",
            "steps[0].input: octet 0 is not two hexadecimal digits",
        ),
        (
            "\"uplink\"",
            "\"downlink\"",
            "steps[0].port: unknown variant `downlink`",
        ),
        (
            "\"verdict\"",
            "\"decision\"",
            "steps[0]: missing field `verdict`",
        ),
        (
            "76.34.193.25",
            "76.34.193",
            "droplet.ip: invalid IPv4 address syntax",
        ),
    ] {
        let message = error(from, to).to_string();
        let expected = format!("{first}{expected}");
        assert!(
            message.starts_with(&expected),
            "{to}:\n  found    {message}\n  expected {expected}"
        );
    }
    let cache = error("12517094 172.18.106.52", "12517094 172.18.106").to_string();
    assert!(cache.contains("endpoint_host_cache_after[0]: `"), "{cache}");
    assert!(matches!(
        vectors::parse("[]"),
        Err(VectorsError::NotVectors { .. })
    ));
    let absent = vectors::load(Path::new("no/such.json")).unwrap_err();
    assert!(absent.to_string().starts_with("no/such.json: "));
}
