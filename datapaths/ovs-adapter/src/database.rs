//! The configuration database of Open vSwitch, over its own protocol: OVSDB, RFC 7047.

use crate::Error;
use crate::jsonrpc::Connection;
use serde::Serialize;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often is asked whether `ovs-vswitchd` did what the database says.
const LOOK: Duration = Duration::from_millis(2);

/// A connection to `ovsdb-server`.
pub struct Database {
    connection: Connection,
}

/// A bridge to be made.
#[derive(Debug, Clone)]
pub struct Bridge<'a> {
    /// Its name, and that of its own interface.
    pub name: &'a str,
    /// Its datapath: `netdev` or `system`.
    pub datapath_type: &'a str,
    /// Keys and values of `other_config`.
    pub other_config: &'a [(&'a str, &'a str)],
}

/// A port with one interface, to be added to a bridge.
#[derive(Debug, Clone)]
pub struct Port {
    /// Name of port and interface.
    pub name: String,
    /// Type of the interface, like `afxdp` or `geneve`; empty for a device of the system.
    pub interface_type: &'static str,
    /// Keys and values of `options`.
    pub options: Vec<(&'static str, String)>,
    /// The OpenFlow port number that it shall have; zero for any.
    pub number: u16,
    /// Bytes of payload that the interface shall carry, where the switch sets that up.
    pub mtu: Option<u16>,
}

impl Database {
    /// Connects to the server that listens at `path`.
    ///
    /// # Errors
    /// Where nobody listens.
    pub fn connect(path: &Path) -> Result<Self, Error> {
        let doing = format!("connecting to the database at {}", path.display());
        let connection = Connection::open(path, PATIENCE).map_err(Error::io(doing))?;
        Ok(Self { connection })
    }

    /// Carries out operations as one transaction (RFC 7047 section 4.1.3), all or nothing. Returns a result for
    /// each operation.
    ///
    /// # Errors
    /// Where the server refuses one, with what it says.
    pub fn transact(&mut self, doing: &str, operations: Vec<Value>) -> Result<Vec<Value>, Error> {
        let failed = |reason: String| Error::Database {
            doing: doing.to_owned(),
            reason,
        };
        let mut params = vec![json!("Open_vSwitch")];
        params.extend(operations);
        let params = Value::Array(params);
        let mut result = self.connection.call("transact", &params).map_err(failed)?;
        let results = result
            .as_array_mut()
            .map(std::mem::take)
            .unwrap_or_default();
        if let Some(refused) = results.iter().find(|result| !result["error"].is_null()) {
            let text = |key: &str| refused[key].as_str().unwrap_or_default().to_owned();
            return Err(failed(format!("{}: {}", text("error"), text("details"))));
        }
        Ok(results)
    }

    /// Makes the one row of the table `Open_vSwitch`, as `ovs-vsctl init` does, with this `other_config`.
    ///
    /// # Errors
    /// See [`Self::transact`].
    pub fn initialise(&mut self, other_config: &[(&str, String)]) -> Result<(), Error> {
        let row = json!({"other_config": map(other_config)});
        let insert = json!({"op": "insert", "table": "Open_vSwitch", "row": row});
        self.transact("initialising", vec![insert]).map(|_| ())
    }

    /// Adds a bridge with its ports, and waits until `ovs-vswitchd` has them. The bridge forwards nothing by
    /// itself: its fail mode is `secure`, so that it has no flows but those it is given.
    ///
    /// # Errors
    /// Where the database refuses it, or an interface cannot be opened.
    pub fn add_bridge(&mut self, bridge: &Bridge<'_>, ports: &[Port]) -> Result<(), Error> {
        let doing = format!("adding bridge {}", bridge.name);
        let own = Port {
            name: bridge.name.to_owned(),
            interface_type: "internal",
            options: Vec::new(),
            number: 0,
            mtu: None,
        };
        let mut operations = Vec::new();
        let mut members = Vec::new();
        for (index, port) in std::iter::once(&own).chain(ports).enumerate() {
            let (interface, member) = (format!("interface{index}"), format!("port{index}"));
            let mut row = json!({
                "name": port.name,
                "type": port.interface_type,
                "options": map(&port.options),
            });
            if port.number != 0 {
                row["ofport_request"] = json!(port.number);
            }
            if let Some(mtu) = port.mtu {
                row["mtu_request"] = json!(mtu);
            }
            operations.push(json!({
                "op": "insert", "table": "Interface", "row": row, "uuid-name": interface,
            }));
            operations.push(json!({
                "op": "insert", "table": "Port", "uuid-name": member,
                "row": {"name": port.name, "interfaces": ["named-uuid", interface]},
            }));
            members.push(json!(["named-uuid", member]));
        }
        operations.push(json!({
            "op": "insert", "table": "Bridge", "uuid-name": "bridge",
            "row": {
                "name": bridge.name,
                "datapath_type": bridge.datapath_type,
                "fail_mode": "secure",
                "other_config": map(bridge.other_config),
                "ports": ["set", members],
            },
        }));
        operations.push(json!({
            "op": "mutate", "table": "Open_vSwitch", "where": [],
            "mutations": [["bridges", "insert", ["named-uuid", "bridge"]]],
        }));
        self.apply(&doing, operations)?;
        for port in ports {
            self.check_interface(&port.name)?;
        }
        Ok(())
    }

    /// Carries out operations, and waits until `ovs-vswitchd` has done what they ask.
    fn apply(&mut self, doing: &str, mut operations: Vec<Value>) -> Result<(), Error> {
        // `ovs-vswitchd` copies next_cfg to cur_cfg when it has done everything (ovs-vswitchd.conf.db(5)).
        operations.push(json!({
            "op": "mutate", "table": "Open_vSwitch", "where": [],
            "mutations": [["next_cfg", "+=", 1]],
        }));
        let select = |column: &str| json!({"op": "select", "table": "Open_vSwitch", "where": [], "columns": [column]});
        operations.push(select("next_cfg"));
        let number = |results: &[Value], column: &str| {
            results
                .last()
                .and_then(|last| last["rows"][0][column].as_i64())
        };
        let results = self.transact(doing, operations)?;
        let wanted = number(&results, "next_cfg");
        let began = Instant::now();
        loop {
            let results = self.transact(doing, vec![select("cur_cfg")])?;
            if number(&results, "cur_cfg") >= wanted {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(Error::Database {
                    doing: doing.to_owned(),
                    reason: format!("ovs-vswitchd did not do it in {} s", PATIENCE.as_secs()),
                });
            }
            std::thread::sleep(LOOK);
        }
    }

    /// An error if the interface could not be opened.
    fn check_interface(&mut self, name: &str) -> Result<(), Error> {
        let doing = format!("looking at interface {name}");
        let select = json!({
            "op": "select", "table": "Interface", "where": [["name", "==", name]],
            "columns": ["ofport", "error"],
        });
        let results = self.transact(&doing, vec![select])?;
        let row = results
            .first()
            .map_or(&Value::Null, |result| &result["rows"][0]);
        // An optional column that is empty is an empty set; ofport is -1 where opening failed.
        if row["ofport"].as_i64().is_some_and(|number| number > 0) {
            return Ok(());
        }
        let reason = row["error"].as_str().unwrap_or("it says no reason");
        Err(Error::Interface {
            name: name.to_owned(),
            reason: reason.to_owned(),
        })
    }

    /// Waits until the other sides of these interfaces are there.
    ///
    /// # Errors
    /// Where one does not come.
    pub fn wait_until_up<'a>(
        &mut self,
        interfaces: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Error> {
        let began = Instant::now();
        for name in interfaces {
            let doing = format!("waiting for the other side of interface {name}");
            let select = json!({
                "op": "select", "table": "Interface", "where": [["name", "==", name]],
                "columns": ["link_state"],
            });
            while self.transact(&doing, vec![select.clone()])?[0]["rows"][0]["link_state"] != "up" {
                if began.elapsed() > PATIENCE {
                    return Err(Error::Database {
                        doing,
                        reason: format!("it did not come in {} s", PATIENCE.as_secs()),
                    });
                }
                std::thread::sleep(LOOK);
            }
        }
        Ok(())
    }

    /// The types of interface that `ovs-vswitchd` can open.
    ///
    /// # Errors
    /// See [`Self::transact`].
    pub fn interface_types(&mut self) -> Result<Vec<String>, Error> {
        let doing = "asking for interface types";
        // `ovs-vswitchd` writes them when it first looks at its configuration.
        self.apply(doing, Vec::new())?;
        let select = json!({
            "op": "select", "table": "Open_vSwitch", "where": [], "columns": ["iface_types"],
        });
        let results = self.transact(doing, vec![select])?;
        let column = results
            .first()
            .map_or(&Value::Null, |result| &result["rows"][0]["iface_types"]);
        Ok(strings(column))
    }
}

/// A map column (RFC 7047 section 5.1).
fn map<V: AsRef<str> + Serialize>(entries: &[(&str, V)]) -> Value {
    json!(["map", entries])
}

/// The strings of a set column: `["set", [...]]`, or one string alone.
fn strings(column: &Value) -> Vec<String> {
    let owned = |value: &Value| value.as_str().map(str::to_owned);
    match column[1].as_array() {
        Some(values) => values.iter().filter_map(owned).collect(),
        None => owned(column).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_written_and_read_as_the_rfc_says() {
        assert_eq!(
            map(&[("a", "1"), ("b", "2")]),
            json!(["map", [["a", "1"], ["b", "2"]]])
        );
        assert_eq!(map::<&str>(&[]), json!(["map", []]));
        assert_eq!(
            strings(&json!(["set", ["afxdp", "geneve"]])),
            ["afxdp", "geneve"]
        );
        assert_eq!(strings(&json!("tap")), ["tap"]);
        assert_eq!(strings(&json!(["set", []])), [""; 0]);
    }
}
