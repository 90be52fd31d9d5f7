//! What is wrong in a topology file is told by file, line and column, with what was expected there.

use topologies::topology::{Parameters, Topology};

const RIGHT: &str = r#"description = "One host sends to another"
direct_path = "cold"

[[droplets]]
name = "left"
ip = "172.16.0.1"
mac = "02:00:00:00:00:01"
under_test = true

[[droplets]]
name = "right"
ip = "172.16.0.2"
mac = "02:00:00:00:00:02"

[[vpcs]]
name = "blue"
vni = 7

[[networks]]
name = "green"
vpc = "blue"
cidr = "10.0.0.0/24"
bouncers = ["right"]

[[endpoints]]
name = "client"
network = "green"
ip = "10.0.0.2"
mac = "02:00:0a:00:00:02"
droplet = "left"

[[endpoints]]
name = "servers"
network = "green"
ip = "10.0.0.16"
mac = "02:00:0a:00:00:10"
count = "endpoints"
droplet = "right"

[[policies]]
endpoints = "servers"
enforce = ["ingress"]
allow = [{ direction = "ingress", protocol = "udp", port = 7 }]

[[flows]]
from = "client"
to = "servers"
"#;

/// The message about `RIGHT` with one place changed.
fn message(from: &str, to: &str) -> String {
    message_with(from, to, Parameters::default())
}

fn message_with(from: &str, to: &str, parameters: Parameters) -> String {
    assert!(RIGHT.contains(from), "{from}");
    let text = RIGHT.replacen(from, to, 1);
    let error = Topology::parse("topo/wrong.toml", &text, parameters).expect_err(to);
    error.to_string()
}

#[test]
fn the_text_to_be_spoilt_is_right() {
    Topology::parse("right.toml", RIGHT, Parameters::default()).unwrap();
}

#[test]
fn what_is_no_toml_of_this_form_is_refused() {
    for (from, to, expected) in [
        ("name = \"left\"", "name = left", "5:8: "),
        (
            "vni = 7",
            "vni = 16777216",
            "17:7: virtual network identifier 16777216 is above 16777215",
        ),
        (
            "\"172.16.0.2\"",
            "\"172.16.0\"",
            "12:6: invalid IPv4 address syntax",
        ),
        (
            "\"02:00:00:00:00:02\"",
            "\"02:00\"",
            "13:7: `02:00` is not an Ethernet address: expected six hexadecimal octets",
        ),
        (
            "cidr = ",
            "prefix = ",
            "22:1: unknown field `prefix`, expected one of `name`, `vpc`",
        ),
        (
            "\"cold\"",
            "\"lukewarm\"",
            "2:15: unknown variant `lukewarm`, expected one of `warm`, `cold`, `both`",
        ),
        (
            "\"endpoints\"",
            "\"many\"",
            "37:9: invalid value: string \"many\", expected a number from 1 to 65537, or \"endpoints\"",
        ),
        (
            "count = \"endpoints\"",
            "count = 0",
            "37:9: invalid value: integer `0`, expected a number",
        ),
        (
            "protocol = \"udp\"",
            "protocol = \"icmp\"",
            "43:46: unknown variant `icmp`",
        ),
        (
            "[[policies]]",
            "[extensions]\ninvalidate = true\n\n[[policies]]",
            "41:1: unknown field `invalidate`, expected one of `invalidation`, `health_check`, `short_header`",
        ),
        (
            "[[policies]]",
            "[health]\ntimeout_ms = 0\n\n[[policies]]",
            "41:14: invalid value: integer `0`, expected a nonzero u16",
        ),
        ("vpc = \"blue\"\n", "", "19:1: missing field `vpc`"),
    ] {
        let message = message(from, to);
        let expected = format!("topo/wrong.toml:{expected}");
        assert!(
            message.starts_with(&expected),
            "{to}:\n  found    {message}\n  expected {expected}"
        );
    }
}

#[test]
fn what_cannot_be_is_refused() {
    for (from, to, expected) in [
        (
            "[[policies]]",
            "[extensions]\nshort_header = true\n\n[[policies]]",
            "40:1: `short_header = true` lacks `invalidation = true`, ",
        ),
        (
            "network = \"green\"",
            "network = \"blue\"",
            "27:11: network \"blue\" is not defined; expected one of: green",
        ),
        (
            "bouncers = [\"right\"]",
            "bouncers = [\"right\", \"middle\"]",
            "23:22: droplet \"middle\" is not defined; expected one of: left, right",
        ),
        (
            "bouncers = [\"right\"]",
            "bouncers = []",
            "23:12: the list of bouncers is empty; ",
        ),
        (
            "name = \"right\"",
            "name = \"left\"",
            "11:8: droplet \"left\" is defined twice; ",
        ),
        (
            "\"172.16.0.2\"",
            "\"172.16.0.1\"",
            "12:6: 172.16.0.1 belongs to \"left\" already; ",
        ),
        (
            "\"cold\"",
            "\"both\"",
            "5:8: direct_path = \"both\" means nothing for a droplet alone; ",
        ),
        (
            "mac = \"02:00:00:00:00:02\"",
            "mac = \"02:00:00:00:00:02\"\nunder_test = true",
            "14:14: \"left\" is under test already; expected one droplet alone",
        ),
        (
            "under_test = true",
            "under_test = true\ncount = 2",
            "8:14: under_test means nothing for several droplets at once; ",
        ),
        (
            "mac = \"02:00:00:00:00:02\"",
            "mac = \"02:00:00:00:00:02\"\ncount = \"endpoints\"",
            "14:9: count = \"endpoints\" means nothing for droplets; ",
        ),
        (
            "mac = \"02:00:00:00:00:02\"",
            "mac = \"02:00:ff:ff:ff:ff\"\ncount = \"hosts\"",
            "13:7: 2 consecutive addresses from 02:00:ff:ff:ff:ff on do not exist; ",
        ),
        (
            "count = \"endpoints\"",
            "count = \"hosts\"",
            "37:9: a count of droplets means nothing for endpoints; ",
        ),
        (
            "10.0.0.0/24",
            "10.0.0.0/33",
            "22:8: `10.0.0.0/33` is not a prefix: expected",
        ),
        (
            "ip = \"10.0.0.16\"",
            "ip = \"10.0.1.16\"",
            "35:6: endpoints 10.0.1.16 to 10.0.1.16 do not lie in network \"green\", 10.0.0.0/24",
        ),
        (
            "ip = \"10.0.0.16\"",
            "ip = \"10.0.0.2\"",
            "35:6: 10.0.0.2 belongs to \"client\" already",
        ),
        (
            "droplet = \"left\"",
            "",
            "26:8: endpoint lacks `droplet` or `droplets`",
        ),
        (
            "droplet = \"right\"",
            "droplets = [\"left\", \"right\"]",
            "47:6: endpoints \"servers\" lie partly on \"left\"; ",
        ),
        (
            "droplet = \"right\"",
            "kind = \"scaled\"",
            "33:8: scaled endpoint lacks `backends`",
        ),
        (
            "protocol = \"udp\", port = 7",
            "port = 7",
            "43:42: port means nothing without `protocol`",
        ),
        (
            ", port = 7",
            "",
            "43:46: a rule with `protocol` lacks `port`",
        ),
        (
            "protocol = \"udp\", port = 7",
            "pod_label = 1, except = [\"10.0.0.0/8\"]",
            "43:60: except means nothing beside a label",
        ),
        (
            "[[flows]]",
            "[[policies]]\nendpoints = \"servers\"\nenforce = []\n\n[[flows]]",
            "46:13: policy of endpoint \"servers\" is defined twice; ",
        ),
        (
            "enforce = [\"ingress\"]",
            "enforce = [\"egress\"]",
            "43:10: allow means nothing for a direction that `enforce` does not list",
        ),
    ] {
        let message = message(from, to);
        let expected = format!("topo/wrong.toml:{expected}");
        assert!(
            message.starts_with(&expected),
            "{to}:\n  found    {message}\n  expected {expected}"
        );
    }
}

#[test]
fn flows_that_pass_the_droplet_under_test_by_are_refused() {
    let text = RIGHT
        .replacen("from = \"client\"", "from = \"servers\"", 1)
        .replacen("droplet = \"left\"", "droplet = \"right\"", 1);
    let error = Topology::parse("x.toml", &text, Parameters::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "x.toml:46:8: these flows go servers -> bouncer -> servers and do not cross \"left\"; \
         expected flows that do"
    );
}

#[test]
fn capacities_are_checked() {
    let many = Parameters::new(300, 1).unwrap();
    assert!(message_with("cold", "cold", many).contains("do not lie in network \"green\""));

    let text = RIGHT.replacen("10.0.0.0/24", "10.0.0.0/8", 1);
    let most = Parameters::new(65_537, 1).unwrap();
    Topology::parse("x.toml", &text, most).unwrap_err();
    let warm = text.replacen("\"cold\"", "\"warm\"", 1);
    let error = Topology::parse("x.toml", &warm, Parameters::new(50_001, 1).unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "x.toml:2:15: 50001 direct paths for droplet \"left\" to keep warm; expected at most 50000, \
         which is what Mizar declares"
    );
    Topology::parse("x.toml", &warm, Parameters::new(50_000, 1).unwrap()).unwrap();

    let dividers: Vec<String> = (0..129).map(|number| format!("\"d{number}\"")).collect();
    let droplets: String = (0..129)
        .map(|number| {
            format!(
                "[[droplets]]\nname = \"d{number}\"\nip = \"172.17.0.{number}\"\n\
                 mac = \"02:00:00:01:00:{number:02x}\"\n"
            )
        })
        .collect();
    let text = RIGHT.replacen(
        "vni = 7",
        &format!("vni = 7\ndividers = [\n{}\n]", dividers.join(",\n")),
        1,
    ) + &droplets;
    let error = Topology::parse("x.toml", &text, Parameters::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "x.toml:147:1: 129 dividers; expected at most 128, which is what Mizar declares"
    );
}
