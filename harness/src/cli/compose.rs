//! `bench compose`.

use super::Outcome;
use super::arguments::Groups;
use anyhow::{Context, bail};
use topologies::catalogue;
use topologies::topology::{Parameters, Topology};

/// The compose file of `bounce`, which those of other topologies are made of.
const BOUNCE: &str = include_str!("../../../docker/compose.yaml");
/// What comes before the droplets' services, and after them.
const SERVICES: &str = "services:\n";
const TESTER: &str = "  tester:\n";
/// Where the tester finds a topology that is a file, by the same name, which reports show.
const FOLDER: &str = "/bench";

pub fn run(name: &str, groups: Groups) -> anyhow::Result<Outcome> {
    let Groups {
        hosts,
        bouncers,
        dividers,
    } = groups;
    let parameters = Parameters::default().with_droplets(hosts, bouncers, dividers)?;
    let topology = catalogue::find(name, parameters)?;
    let is_file = !catalogue::OVERLAYS.iter().any(|entry| entry.name == name);
    let file = is_file.then(|| std::path::absolute(name)).transpose()?;
    // The tester makes the topology that the droplets are of.
    let sizes = match parameters == Parameters::default() {
        true => String::new(),
        false => format!("--hosts {hosts} --bouncers {bouncers} --dividers {dividers} "),
    };
    print!("{}", compose(&topology, file.as_deref(), &sizes)?);
    Ok(Outcome::Good)
}

fn compose(
    topology: &Topology,
    file: Option<&std::path::Path>,
    sizes: &str,
) -> anyhow::Result<String> {
    if topology.under_test().is_some() {
        bail!(
            "{} has one droplet under test, which runs beside the tester; expected a topology from endpoint to endpoint, \
             see `bench list`",
            topology.name()
        );
    }
    let damaged = "docker/compose.yaml has other parts than expected";
    let (head, rest) = BOUNCE.split_once(SERVICES).context(damaged)?;
    let (_, tester) = rest.split_once(TESTER).context(damaged)?;
    let mut text = head.to_owned() + SERVICES;
    let mut names = Vec::new();
    for droplet in topology.droplets() {
        let name = droplet.name.as_str();
        names.push(name);
        text += &format!(
            "  {name}:\n    <<: *droplet\n    command: droplet --name {name} --meeting /run/meeting\n"
        );
    }
    text += TESTER;
    let tester = tester.replace("left, right, bouncer", &names.join(", "));
    let asked = |name: &str| format!("--topology {name} ");
    let tester = match file {
        None => tester.replace(&asked("bounce"), &(asked(topology.name()) + sizes)),
        Some(file) => {
            let volumes = "    volumes:\n";
            let name = file.file_name().unwrap_or_default();
            let inside = format!("{FOLDER}/{}", name.display());
            let mounted = format!("{volumes}      - {}:{inside}:ro\n", file.display());
            let tester = tester.replace(&asked("bounce"), &(asked(&inside) + sizes));
            tester.replace(volumes, &mounted)
        }
    };
    Ok(text + &tester)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(name: &str) -> Topology {
        catalogue::find(name, Parameters::default()).unwrap()
    }

    #[test]
    fn the_file_that_is_there_is_that_of_its_topology() {
        assert_eq!(compose(&find("bounce"), None, "").unwrap(), BOUNCE);
    }

    #[test]
    fn each_droplet_has_a_service_and_the_tester_knows_the_topology() {
        let fan = compose(&find("fan"), None, "").unwrap();
        assert_eq!(fan.matches("command: droplet --name").count(), 10);
        assert_eq!(
            fan.matches("depends_on: [green-host-1, ").count(),
            1,
            "{fan}"
        );
        assert!(fan.contains("command: per-datapath --topology fan --droplets /run/meeting"));
        // As in the file that is there.
        for line in [
            "    stop_grace_period: 5m\n",
            "      RUST: ${BENCH_RUST:-rust:1.95-bookworm}\n",
        ] {
            assert_eq!(fan.matches(line).count(), 1, "{fan}");
        }
        let file = std::path::Path::new("/home/me/mine.toml");
        let mine = compose(&find("direct"), Some(file), "").unwrap();
        assert!(mine.contains("--topology /bench/mine.toml --droplets"));
        assert!(mine.contains("      - /home/me/mine.toml:/bench/mine.toml:ro\n"));
    }

    #[test]
    fn the_tester_makes_the_topology_that_droplets_are_of() {
        let parameters = Parameters::default().with_droplets(3, 1, 1).unwrap();
        let fan = catalogue::find("fan", parameters).unwrap();
        let sizes = "--hosts 3 --bouncers 1 --dividers 1 ";
        let fan = compose(&fan, None, sizes).unwrap();
        assert_eq!(fan.matches("command: droplet --name").count(), 9);
        assert!(fan.contains(&format!("--topology fan {sizes}--droplets /run/meeting")));
    }

    #[test]
    fn a_droplet_under_test_has_no_container() {
        let error = compose(&find("encap"), None, "").unwrap_err().to_string();
        assert!(
            error.starts_with("encap has one droplet under test"),
            "{error}"
        );
    }
}
